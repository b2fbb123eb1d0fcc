// What a command of the command line is, and which there are. Main thread. Each is loaded only when it is asked for.

import { ConfigError } from '../base/errors.ts'
import { nearestName } from '../config/tree.ts'

/** Takes the words after its name, writes to stdout by `print`, and resolves to the exit code. */
export type Command = (argv: readonly string[], print: (text: string) => void) => Promise<number>

const loaders: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serve,
  'check-config': async () => (await import('./check-config.ts')).checkConfig,
  'print-config': async () => (await import('./print-config.ts')).printConfig,
  health: async () => (await import('./health.ts')).health,
  token: async () => (await import('./token.ts')).token,
  backup: async () => (await import('./backup.ts')).backup,
  'check-data': async () => (await import('./check-data.ts')).checkDataDirectory,
  'api-reference': async () => (await import('./api-reference.ts')).apiReference,
  version: async () => (await import('./version.ts')).version,
  help: async () => (await import('./help.ts')).help,
}

/** The command that the words ask for, with what is left of them; without a name it is `serve`. */
export async function chooseCommand(
  argv: readonly string[],
): Promise<{ command: Command; rest: readonly string[] }> {
  const { name, rest } = nameAndRest(argv)
  if (!Object.hasOwn(loaders, name)) {
    const nearest = nearestName(name, Object.keys(loaders))
    throw new ConfigError(
      `unknown command ${JSON.stringify(name)}; the nearest known one is ${nearest} (see --help)`,
    )
  }
  return { command: await loaders[name]!(), rest }
}

function nameAndRest(argv: readonly string[]): { name: string; rest: readonly string[] } {
  if (argv.includes('--help') || argv.includes('-h')) return { name: 'help', rest: [] }
  const [first, ...others] = argv
  if (first === '--version' || first === '-v') return { name: 'version', rest: others }
  return first === undefined || first.startsWith('--')
    ? { name: 'serve', rest: argv }
    : { name: first, rest: others }
}
