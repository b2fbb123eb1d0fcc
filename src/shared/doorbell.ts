// The doorbell: how a producer thread wakes a consumer thread that sleeps in its event loop, once per sleep.
// Doorbell belongs to the consumer's thread, DoorbellButton to a producer's; any number of producers.
// Invariant: if a ring isn't empty, its consumer is awake or a wake-up message is on its way to it.

import { assert } from '../base/assert.ts'

/** The port to the consumer's thread: a MessagePort in the program. */
export type WakePort = { postMessage(value: unknown): void }

//   byte 128 * n  +---------------------------------+
//                 | flag of consumer n          i32 |  ASLEEP is written by the consumer; AWAKE by it and by
//                 +---------------------------------+  the producer that takes it on to wake it
//
// One flag on two cache lines of its own: each producer reads it after each commit, so it must not share a
// line with anything that is often written.
const FLAG_STRIDE_INDEXES = 128 / 4
const AWAKE = 0
const ASLEEP = 1

// Why no wake-up is lost. The consumer does (1) flag = ASLEEP, (2) load the producer's position; a producer
// does (3) store its position, (4) load the flag. All four are Atomics: all threads see them in one order,
// which keeps (1) before (2) and (3) before (4). If (4) sees AWAKE, then (4) is before (1), hence (3) before
// (2): the consumer sees the record and stays awake. Otherwise (4) sees ASLEEP and the producer rings. With
// plain stores, or release stores, a processor may let (2) overtake (1) or (4) overtake (3), and both miss.
//
// Why there is one message per sleep. Whoever finds ASLEEP exchanges it for AWAKE, and of several only one
// gets ASLEEP back from the exchange; the flag is set again only by the consumer.
//
// A message may come when the consumer is already awake: it saw the record itself at (2) after a producer had
// taken the flag. So a wake-up says "look at your rings", and finding them empty is no error.

/** Memory for the flags of `consumers` threads, all awake. */
export function createDoorbellMemory(consumers: number): SharedArrayBuffer {
  assert(consumers >= 1, `doorbell: consumers: ${consumers}`)
  return new SharedArrayBuffer(consumers * FLAG_STRIDE_INDEXES * 4)
}

/** The consumer's side. A new one, for a thread that is started again, begins awake. */
export class Doorbell {
  readonly #flags: Int32Array
  readonly #index: number

  constructor(memory: SharedArrayBuffer, consumer: number) {
    this.#flags = new Int32Array(memory)
    this.#index = indexOf(this.#flags, consumer)
    this.awake()
  }

  /**
   * Call as the last thing before the thread returns to its event loop with nothing left to do. `hasWork`
   * looks at all rings of this thread. True: sleep, the next record will wake you. False: there is work
   * already, the thread counts as awake and has to see to it by itself.
   */
  fallAsleep(hasWork: () => boolean): boolean {
    // (1) Partner: the load and the exchange in DoorbellButton.ring().
    Atomics.store(this.#flags, this.#index, ASLEEP)
    if (!hasWork()) return true
    this.awake()
    return false
  }

  /** Call when the thread begins to work, whatever woke it: producers then needn't ring. */
  awake(): void {
    // Partner: the load in DoorbellButton.ring(). If a producer was faster, its message comes for nothing.
    Atomics.store(this.#flags, this.#index, AWAKE)
  }
}

/** A producer's side: wakes one consumer through a port to its thread. */
export class DoorbellButton {
  readonly #flags: Int32Array
  readonly #index: number
  readonly #port: WakePort

  constructor(memory: SharedArrayBuffer, consumer: number, port: WakePort) {
    this.#flags = new Int32Array(memory)
    this.#index = indexOf(this.#flags, consumer)
    this.#port = port
  }

  /** Call after each commit, or once after several. Returns whether it sent a wake-up. */
  ring(): boolean {
    // (4) Partner: the store in Doorbell.fallAsleep(). The load alone is the usual case and leaves the cache
    // line shared; an exchange each time would pull it from all other producers.
    if (Atomics.load(this.#flags, this.#index) === AWAKE) return false
    // Of all the threads that saw ASLEEP, the one that gets it back here sends the message.
    if (Atomics.exchange(this.#flags, this.#index, AWAKE) === AWAKE) return false
    this.#port.postMessage(0)
    return true
  }
}

function indexOf(flags: Int32Array, consumer: number): number {
  const index = consumer * FLAG_STRIDE_INDEXES
  assert(consumer >= 0 && index < flags.length, `doorbell: no such consumer: ${consumer}`)
  return index
}
