// `serve`: runs the relay until it is asked to stop. Main thread.
// Invariant: the first SIGTERM or SIGINT stops in order, the second ends the process at once.

import { monotonicMs } from '../base/clock.ts'
import { type LoadedConfig, loadConfig } from '../config/load.ts'

export type RunningRelay = Readonly<{
  stop: (reason: string) => Promise<void>
  /** The exit code, once all is down. */
  finished: Promise<number>
}>

export type StartRelay = (loaded: LoadedConfig) => Promise<RunningRelay>

const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * After Ctrl-C the terminal signals its whole process group, and npm, which is in it, passes the signal on to us once
 * more within a millisecond. Nobody presses twice in this time.
 */
const SIGNAL_ECHO_MS = 100

type Asked = Readonly<{ signal: NodeJS.Signals; atMs: number }>

/** Whether a signal is only the echo of the one before. */
export function isEcho(first: Asked, next: Asked): boolean {
  return next.signal === first.signal && next.atMs - first.atMs < SIGNAL_ECHO_MS
}

export async function serve(argv: readonly string[]): Promise<number> {
  const loaded = loadConfig({ argv })
  // Only this command needs the threads and the native library behind them.
  const { startRelay } = await import('../threads/relay.ts')
  return runUntilStopped(loaded, startRelay)
}

export async function runUntilStopped(loaded: LoadedConfig, startRelay: StartRelay): Promise<number> {
  const failedStop = Promise.withResolvers<never>()
  let running: RunningRelay | undefined
  let asked: Asked | undefined
  const stop = () => {
    if (running !== undefined && asked !== undefined) running.stop(asked.signal).catch(failedStop.reject)
  }
  const onSignal = (signal: NodeJS.Signals) => {
    const next = { signal, atMs: monotonicMs() }
    if (asked === undefined) {
      asked = next
      stop()
    } else if (!isEcho(asked, next)) {
      // By the signal's own default: process.exit() would abort with a crash report, as it can't end shards that hold
      // sockets.
      for (const each of SIGNALS) process.removeAllListeners(each)
      process.kill(process.pid, signal)
    }
  }
  // They stay until the process is gone: an echo that comes late must not end it in the midst of its last steps.
  for (const signal of SIGNALS) process.on(signal, onSignal)
  running = await startRelay(loaded)
  // A signal may have come while it started.
  stop()
  return Promise.race([running.finished, failedStop.promise])
}
