// The publisher's loop: at each beat of its metronome it says what is due. Runs on the publisher's thread.
// Invariant: every publication of a stretch is said once, in order, as soon as the thread comes to it and never before
// it is due; a thread that was held up says all it missed, in bounded turns.

import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { createBeat, RUNG, setRhythm } from './beat.ts'
import { nowUs } from './clock.ts'
import { dueBy, type Stretch } from './pace.ts'

/** What is due within it leaves together; more beats would cost more than what they bring. */
const BEAT_US_MIN = 500
/** In a turn; between turns the thread reads answers. */
const PUBLICATIONS_PER_TURN_MAX = 1000

const US_PER_S = 1e6
const SILENCE = { startUs: 0, everyUs: 0 }

/** Publications from–to (exclusive) of the stretch are due. */
export type Hand = (stretch: Stretch, from: number, to: number) => void

export type Pacer = Readonly<{
  /** A stretch that is running ends now. */
  start: (stretch: Stretch) => Promise<void>
  /** What is due now is still handed over. */
  stop: () => Promise<void>
  close: () => void
}>

export function createPacer(hand: Hand): Pacer {
  const beat = createBeat()
  const metronome = new Worker(new URL('./metronome.ts', import.meta.url), { workerData: beat.memory })
  metronome.unref()
  let stretch: Stretch | undefined
  /** Publications of the stretch that were handed over. */
  let handed = 0
  let catchingUp: NodeJS.Immediate | undefined

  /** True: that was all that was due then. */
  const handDue = (of: Stretch, atUs: number): boolean => {
    const due = dueBy(of, atUs)
    const from = handed
    handed = Math.min(due, from + PUBLICATIONS_PER_TURN_MAX)
    if (handed > from) hand(of, from, handed)
    return handed === due
  }
  const turn = () => {
    catchingUp = undefined
    if (stretch !== undefined && !handDue(stretch, nowUs())) catchingUp = setImmediate(turn)
  }
  metronome.on('message', () => {
    // Before the clock is read. Partner: the exchange in metronome.ts; a beat after this rings again.
    Atomics.store(beat.words, RUNG, 0)
    if (catchingUp === undefined) turn()
  })
  const end = () => {
    setRhythm(beat, SILENCE)
    clearImmediate(catchingUp)
    catchingUp = undefined
    stretch = undefined
  }
  const stop = async () => {
    const last = stretch
    const atUs = nowUs()
    end()
    if (last !== undefined) while (!handDue(last, atUs)) await nextTurn()
  }
  return {
    async start({ startUs, rate, channels }) {
      await stop()
      stretch = { startUs, rate, channels }
      handed = 0
      setRhythm(beat, { startUs, everyUs: Math.max(BEAT_US_MIN, US_PER_S / rate) })
    },
    stop,
    close() {
      end()
      void metronome.terminate()
    },
  }
}
