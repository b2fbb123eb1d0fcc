// `backup --to DIR`: copies what the messenger keeps, while the relay goes on working. Main thread.

import { resolve } from 'node:path'
import { ConfigError } from '../base/errors.ts'
import { loadConfig } from '../config/load.ts'

export async function backup(argv: readonly string[], print: (text: string) => void): Promise<number> {
  const { to, rest } = readDestination(argv)
  const { config } = loadConfig({ argv: rest })
  // Only this command needs the database.
  const { backUp } = await import('../messenger/backup.ts')
  const { databaseBytes, blobs, blobBytes } = await backUp(resolve(config.messenger.path), resolve(to))
  print(`${to}: database ${databaseBytes} bytes, ${blobs} files with ${blobBytes} bytes\n`)
  return 0
}

/** Takes the flag of this command out of the words; the rest are flags of the configuration. */
function readDestination(argv: readonly string[]): { to: string; rest: string[] } {
  const at = argv.findIndex(word => word === '--to' || word.startsWith('--to='))
  const word = argv[at]
  const isOneWord = word?.startsWith('--to=') ?? false
  const to = isOneWord ? word!.slice('--to='.length) : argv[at + 1]
  if (word === undefined || to === undefined || to === '' || to.startsWith('--')) {
    throw new ConfigError('backup needs a directory that is not there yet: backup --to DIR [--config FILE]')
  }
  return { to, rest: argv.toSpliced(at, isOneWord ? 1 : 2) }
}
