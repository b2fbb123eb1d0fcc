// `print-config`: all options with their defaults, as a configuration file to begin with. Main thread.
// Invariant: what it prints is a valid configuration that changes nothing.

import { ANY_TEXT, type Notes, notesOf, type OptionNotes, type SectionListNotes } from '../config/option.ts'
import { root } from '../config/tree.ts'
import { refuseArguments } from './arguments.ts'

export async function printConfig(argv: readonly string[], print: (text: string) => void): Promise<number> {
  refuseArguments('print-config', argv)
  print(`${HEAD}\n${linesOfShape(root.shape, '').join('\n')}\n`)
  return 0
}

const HEAD = `# All options of fanwire with their defaults. A flag (--client.ping_interval 10s) goes before the environment
# (FANWIRE_CLIENT_PING_INTERVAL=10s), that before the file, and the file before the default.
# Without any file, and with nothing set under client, http_api or channel, fanwire runs an open development profile
# on loopback; with a file, even this one, it is closed until tokens, keys and permissions are given.
`

const INDENT = '  '

function linesOfShape(
  shape: Readonly<Record<string, Parameters<typeof notesOf>[0]>>,
  indent: string,
): string[] {
  return Object.entries(shape).flatMap(([name, schema]) => linesOf(name, notesOf(schema), indent))
}

function linesOf(name: string, notes: Notes, indent: string): string[] {
  if (notes.kind === 'section') {
    const comment = `${indent}# ${notes.description}`
    return [comment, `${indent}${name}:`, ...linesOfShape(notes.shape, indent + INDENT)]
  }
  if (notes.kind === 'sections') return linesOfList(name, notes, indent)
  const comment = `${indent}# ${notes.description} ${boundsOf(notes)}Default ${JSON.stringify(notes.defaultValue)}.`
  return [comment, `${indent}${name}: ${JSON.stringify(notes.defaultValue)}`]
}

/** Nothing where the value says it all. */
function boundsOf({ kind, allowed }: OptionNotes): string {
  if (kind === 'boolean' || allowed === ANY_TEXT) return ''
  return `${allowed.charAt(0).toUpperCase()}${allowed.slice(1)}. `
}

/** An element has the options that stand above, so the example only shows its form. */
function linesOfList(name: string, notes: SectionListNotes, indent: string): string[] {
  return [
    `${indent}# ${notes.description} Default []. For example:`,
    `${indent}#   - name: "chat"`,
    `${indent}#     presence: true`,
    `${indent}#     history_size: 100`,
    `${indent}#     history_ttl: "5m"`,
    `${indent}#     allow_subscribe_for_client: true`,
    `${indent}${name}: []`,
  ]
}
