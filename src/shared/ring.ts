// The ring: a byte queue in shared memory from one producer thread to one consumer thread, without locks.
// RingProducer belongs to the one thread, RingConsumer to the other; layout and invariant: ring.layout.ts.
// Full is a normal answer: the producer's caller decides what happens to a record that has no room.

import { assert } from '../base/assert.ts'
import {
  alignUp,
  CONSUMER_POSITION_INDEX,
  DATA_OFFSET_BYTES,
  PADDING,
  PRODUCER_POSITION_INDEX,
  RECORD_HEADER_BYTES,
  RECORD_OVERHEAD_BYTES_MAX,
  RECORDS_MIN,
  RING_CAPACITY_BYTES_MAX,
  RING_CAPACITY_BYTES_MIN,
} from './ring.layout.ts'

/** What tryClaim answers when there is no room. */
export const FULL = -1

/**
 * From this size on a copy goes by Buffer.copy with a range, which is memmove after about 65 ns of call;
 * below, by TypedArray.set, which costs 10 ns but copies to shared memory in words of 8 at best and byte by
 * byte where the two sides are aligned differently (512 B: 24 or 147 ns against 70; 16 KiB: 4 us or 0.2).
 */
const RANGE_COPY_BYTES_MIN = 512

/** Consumed bytes go back to the producer every capacity / this: it needn't wait for a whole batch. */
const RELEASES_PER_ROUND = 8

/**
 * Gets one record: views into the ring that are valid only until it returns. The head is
 * bytes[headStart, payloadStart), the payload bytes[payloadStart, end).
 */
export type OnRecord = (bytes: Buffer, headStart: number, payloadStart: number, end: number) => void

/**
 * Memory of a ring of `capacityBytes` (a power of two, 1 KiB to 1 GiB). `startPosition` is where both
 * positions start to count; only a test that wants them to wrap soon gives one.
 */
export function createRingMemory(capacityBytes: number, startPosition = 0): SharedArrayBuffer {
  assert(
    capacityBytes >= RING_CAPACITY_BYTES_MIN &&
      capacityBytes <= RING_CAPACITY_BYTES_MAX &&
      (capacityBytes & (capacityBytes - 1)) === 0,
    `ring: capacity must be a power of two from 1 KiB to 1 GiB: ${capacityBytes}`,
  )
  assert(alignUp(startPosition) === (startPosition | 0), `ring: start position not aligned: ${startPosition}`)
  const memory = new SharedArrayBuffer(DATA_OFFSET_BYTES + capacityBytes)
  const positions = new Int32Array(memory)
  positions[CONSUMER_POSITION_INDEX] = startPosition
  positions[PRODUCER_POSITION_INDEX] = startPosition
  return memory
}

/** The greatest sum of headBytes and payloadBytes that a ring of this capacity takes. */
export function maxRecordBytesOf(capacityBytes: number): number {
  return capacityBytes / RECORDS_MIN - RECORD_OVERHEAD_BYTES_MAX
}

/**
 * The producer's side. A new one may take over the memory from one whose thread has ended; an uncommitted
 * claim is then as if it had never been.
 */
export class RingProducer {
  readonly capacityBytes: number
  /** The greatest sum of headBytes and payloadBytes; callers ask before they claim. */
  readonly maxRecordBytes: number
  /** The ring's data. Write only to what tryClaim gave, and not after commit. */
  readonly bytes: Buffer
  readonly #words: Int32Array
  readonly #positions: Int32Array
  readonly #mask: number
  /** Our own position; the shared one is its copy as of the last commit. */
  #position: number
  /** Where the consumer was when we last looked; it can only have moved on since. */
  #consumerSeen: number
  /** The position after the claimed record; equal to #position while nothing is claimed. */
  #claimedEnd: number

  constructor(memory: SharedArrayBuffer) {
    this.capacityBytes = memory.byteLength - DATA_OFFSET_BYTES
    this.maxRecordBytes = maxRecordBytesOf(this.capacityBytes)
    this.bytes = Buffer.from(memory, DATA_OFFSET_BYTES, this.capacityBytes)
    this.#words = new Int32Array(memory, DATA_OFFSET_BYTES, this.capacityBytes / 4)
    this.#positions = new Int32Array(memory, 0, DATA_OFFSET_BYTES / 4)
    this.#mask = this.capacityBytes - 1
    // Partner: the store in commit(), of this thread or of the producer before it.
    this.#position = Atomics.load(this.#positions, PRODUCER_POSITION_INDEX)
    // Partner: the store in RingConsumer.#release().
    this.#consumerSeen = Atomics.load(this.#positions, CONSUMER_POSITION_INDEX)
    this.#claimedEnd = this.#position
  }

  /**
   * Room for a record of a head and a payload, to be filled and then committed. Returns the offset in
   * `bytes` where the head begins and, right after it, the payload; or FULL. A claim that isn't committed
   * before the next one is given up. Records over maxRecordBytes are a programmer error.
   */
  tryClaim(headBytes: number, payloadBytes: number): number {
    assert(
      headBytes >= 0 && payloadBytes >= 0 && headBytes + payloadBytes <= this.maxRecordBytes,
      'ring: record size',
    )
    const payloadOffset = alignUp(RECORD_HEADER_BYTES + headBytes)
    const recordBytes = payloadOffset + payloadBytes
    const takenBytes = alignUp(recordBytes)

    let start = this.#position & this.#mask
    const untilEndBytes = this.capacityBytes - start
    const paddingBytes = takenBytes > untilEndBytes ? untilEndBytes : 0
    if (!this.#hasRoom(paddingBytes + takenBytes)) return FULL

    const words = this.#words
    if (paddingBytes > 0) {
      words[start >> 2] = paddingBytes
      words[(start >> 2) + 1] = PADDING
      start = 0
    }
    words[start >> 2] = recordBytes
    words[(start >> 2) + 1] = headBytes
    this.#claimedEnd = (this.#position + paddingBytes + takenBytes) | 0
    return start + payloadOffset - headBytes
  }

  /** Publishes the claimed record (and the padding before it). The consumer may sleep: ring its doorbell. */
  commit(): void {
    assert(this.#claimedEnd !== this.#position, 'ring: commit without a claim')
    this.#position = this.#claimedEnd
    // The publishing store, last of all. Partner: the loads in RingConsumer.drain() and isEmpty(), which see
    // by it all that was written before. It comes before the producer's look at the doorbell's flag.
    Atomics.store(this.#positions, PRODUCER_POSITION_INDEX, this.#position)
  }

  /** Copies a record in and publishes it. False when full: nothing has happened then. */
  write(head: Uint8Array, payload: Uint8Array | undefined): boolean {
    const headStart = this.tryClaim(head.length, payload === undefined ? 0 : payload.length)
    if (headStart === FULL) return false
    copyInto(this.bytes, headStart, head)
    if (payload !== undefined) copyInto(this.bytes, headStart + head.length, payload)
    this.commit()
    return true
  }

  /** True: a record whose head and payload are `totalBytes` together finds room now, however it is split. */
  fits(totalBytes: number): boolean {
    if (totalBytes > this.maxRecordBytes) return false
    const takenBytes = alignUp(totalBytes + RECORD_OVERHEAD_BYTES_MAX)
    const untilEndBytes = this.capacityBytes - (this.#position & this.#mask)
    return this.#hasRoom(takenBytes > untilEndBytes ? untilEndBytes + takenBytes : takenBytes)
  }

  /** Bytes that the consumer hasn't given back yet, headers and padding included. */
  usedBytes(): number {
    // Partner: the store in RingConsumer.#release().
    this.#consumerSeen = Atomics.load(this.#positions, CONSUMER_POSITION_INDEX)
    return (this.#position - this.#consumerSeen) | 0
  }

  #hasRoom(bytes: number): boolean {
    if (bytes <= this.capacityBytes - ((this.#position - this.#consumerSeen) | 0)) return true
    return bytes <= this.capacityBytes - this.usedBytes()
  }
}

/**
 * The consumer's side. A new one may take over the memory from one whose thread has ended: it goes on after
 * the last record that was released, so records of the batch in which the thread ended may come again.
 */
export class RingConsumer {
  readonly capacityBytes: number
  readonly #bytes: Buffer
  readonly #words: Int32Array
  readonly #positions: Int32Array
  readonly #mask: number
  readonly #releaseBytes: number
  /** Where the next record begins. */
  #position: number
  /** The shared consumer position: what the producer knows of #position. */
  #released: number
  /** Where the producer was when we last looked: everything up to here is there to be read. */
  #producerSeen: number
  #draining = false

  constructor(memory: SharedArrayBuffer) {
    this.capacityBytes = memory.byteLength - DATA_OFFSET_BYTES
    this.#bytes = Buffer.from(memory, DATA_OFFSET_BYTES, this.capacityBytes)
    this.#words = new Int32Array(memory, DATA_OFFSET_BYTES, this.capacityBytes / 4)
    this.#positions = new Int32Array(memory, 0, DATA_OFFSET_BYTES / 4)
    this.#mask = this.capacityBytes - 1
    this.#releaseBytes = this.capacityBytes / RELEASES_PER_ROUND
    // Partner: the store in #release(), of this thread or of the consumer before it.
    this.#position = Atomics.load(this.#positions, CONSUMER_POSITION_INDEX)
    this.#released = this.#position
    this.#producerSeen = this.#position
  }

  /**
   * Hands up to `maxRecords` records to `onRecord`, in order, and returns how many. A record counts as
   * consumed before it is handed over: if `onRecord` throws, the error passes on to the caller, and the next
   * drain begins with the record after. `onRecord` must not drain the same ring.
   */
  drain(maxRecords: number, onRecord: OnRecord): number {
    assert(!this.#draining, 'ring: drain within drain')
    this.#draining = true
    let records = 0
    try {
      while (records < maxRecords && this.#hasRecord()) {
        const start = this.#position & this.#mask
        const recordBytes = this.#words[start >> 2]!
        const headBytes = this.#words[(start >> 2) + 1]!
        const takenBytes = alignUp(recordBytes)
        assert(
          takenBytes > 0 && takenBytes <= ((this.#producerSeen - this.#position) | 0),
          'ring: broken record',
        )
        this.#position = (this.#position + takenBytes) | 0
        if (headBytes !== PADDING) {
          const payloadStart = start + alignUp(RECORD_HEADER_BYTES + headBytes)
          records++
          onRecord(this.#bytes, payloadStart - headBytes, payloadStart, start + recordBytes)
        }
        if (((this.#position - this.#released) | 0) >= this.#releaseBytes) this.#release()
      }
    } finally {
      if (this.#position !== this.#released) this.#release()
      this.#draining = false
    }
    return records
  }

  /** Is nothing there to be drained? After Doorbell's flag was set, a false answer here forbids to sleep. */
  isEmpty(): boolean {
    return !this.#hasRecord()
  }

  #hasRecord(): boolean {
    if (this.#position !== this.#producerSeen) return true
    // Partner: the store in RingProducer.commit(). What the producer wrote before it is visible after this.
    this.#producerSeen = Atomics.load(this.#positions, PRODUCER_POSITION_INDEX)
    return this.#position !== this.#producerSeen
  }

  #release(): void {
    this.#released = this.#position
    // Gives the bytes back, after the last read from them. Partner: the load in RingProducer.usedBytes().
    Atomics.store(this.#positions, CONSUMER_POSITION_INDEX, this.#position)
  }
}

function copyInto(target: Buffer, targetStart: number, source: Uint8Array): void {
  if (source.length < RANGE_COPY_BYTES_MIN) {
    target.set(source, targetStart)
  } else {
    const whole = Buffer.from(source.buffer)
    whole.copy(target, targetStart, source.byteOffset, source.byteOffset + source.length)
  }
}
