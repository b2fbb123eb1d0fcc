// What the programs of the load have to do with the terminal that they run in: who interrupts them, who stops reading.
// Main thread.

/** As a shell reports a program that ^C ended. */
export const INTERRUPTED_CODE = 130

/** Whoever reads along may stop (`| head`), and a terminal may be closed: the run goes on, and is kept in its file. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
    })
  }
}

/** The first ^C (or a closed terminal) ends the run with what there is; the second the program, and all it started. */
export function whenInterrupted(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(INTERRUPTED_CODE)
      controller.abort()
    })
  }
  return controller.signal
}
