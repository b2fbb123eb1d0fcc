// Checks on arguments that commands share. Main thread.

import { ConfigError } from '../base/errors.ts'

/** For commands that take nothing. */
export function refuseArguments(name: string, argv: readonly string[]): void {
  if (argv.length > 0) throw new ConfigError(`${name} takes no arguments, got ${JSON.stringify(argv[0])}`)
}
