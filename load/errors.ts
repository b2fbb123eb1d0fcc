// The ways in which a run ends without a verdict: a text for a human and an exit code. Main thread.

/** Arguments that can't be carried out. */
export class OptionError extends Error {
  override name = 'OptionError'
  readonly exitCode = 2
}

/** The run could not be made, or not to its end: the server is gone, nobody could connect. */
export class LoadError extends Error {
  override name = 'LoadError'
  readonly exitCode = 4
}

/** Whatever was thrown, as one line of text. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
