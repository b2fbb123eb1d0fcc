// The words between the publisher and its metronome, in shared memory. Both threads.
//
//   Int32  [0] TURN   counts orders; the metronome sleeps on it       written by the publisher
//          [1] RUNG   1 while a ring is under way                     set by the metronome, cleared by the publisher
//   Float64[1] START  µs when the first beat is due                   written by the publisher, before TURN
//          [2] EVERY  µs between beats; 0: silence                    written by the publisher, before TURN
//
// Invariant: at most one ring is under way, so that a publisher that was held up finds one, and not thousands.

export const TURN = 0
export const RUNG = 1
const START = 1
const EVERY = 2
const BYTES = 24

export type Beat = Readonly<{ words: Int32Array; times: Float64Array }>

export type Rhythm = Readonly<{ startUs: number; everyUs: number }>

export function createBeat(memory = new SharedArrayBuffer(BYTES)): Beat & { memory: SharedArrayBuffer } {
  return { memory, words: new Int32Array(memory), times: new Float64Array(memory) }
}

export function setRhythm({ words, times }: Beat, { startUs, everyUs }: Rhythm): void {
  times[START] = startUs
  times[EVERY] = everyUs
  // Seen by the load in rhythmOf(), which so has the times above; wakes the wait in metronome.ts.
  Atomics.add(words, TURN, 1)
  Atomics.notify(words, TURN)
}

/** With the turn in which it was set. A rhythm that is replaced while it is read is read again: its turn has passed. */
export function rhythmOf({ words, times }: Beat): Rhythm & { turn: number } {
  // Sees the add in setRhythm().
  const turn = Atomics.load(words, TURN)
  return { turn, startUs: times[START]!, everyUs: times[EVERY]! }
}
