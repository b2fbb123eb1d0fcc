// `check-config FILE`: whether the relay would start with this file, in this environment and with these flags.
// Main thread.

import { checkTokenKeys } from '../auth/tokens.ts'
import { ConfigError } from '../base/errors.ts'
import { loadConfig } from '../config/load.ts'

export async function checkConfig(argv: readonly string[], print: (text: string) => void): Promise<number> {
  const [file, ...flags] = argv
  if (file === undefined || file.startsWith('--')) {
    throw new ConfigError('check-config needs the path of a file: check-config FILE')
  }
  const { config } = loadConfig({ argv: ['--config', file, ...flags] })
  checkTokenKeys(config.client)
  const count = config.channel.namespaces.length
  print(`${file}: the configuration is right (${count} ${count === 1 ? 'namespace' : 'namespaces'})\n`)
  return 0
}
