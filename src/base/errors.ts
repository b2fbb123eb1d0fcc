// Operating errors that end the process or a command of the command line: a text for a human and an exit code.
// Errors that clients see are not here but in protocol/codes.ts.

export class ConfigError extends Error {
  override name = 'ConfigError'
  /** Exit code of the process: 2, a wrong configuration or wrong arguments. */
  readonly exitCode = 2
}

export class StartError extends Error {
  override name = 'StartError'
  /** Exit code of the process: 1, the configuration is right but the machine refuses (a taken port, say). */
  readonly exitCode = 1
}

/** Whatever was thrown, as one line of text. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
