// Memory for the batches of audiences: lent at the first publication of a tick, given back after the flush, so
// that a hundred thousand quiet channels hold none. Runs on a shard.

/** A batch that would grow past this is flushed in the middle of the tick. */
export const BATCH_BYTES_MAX = 256 << 10
/** Holds a few publications of common size; most batches never grow. */
const SMALL_BYTES = 4 << 10
/** So many small buffers are kept for the next tick (4 MiB). */
const SMALL_KEPT_MAX = 1024

export class BatchMemory {
  #small: Buffer[] = []

  /** A buffer with the first `usedBytes` of `batch` and room for `moreBytes`. */
  reserve(batch: Buffer | undefined, usedBytes: number, moreBytes: number): Buffer {
    const neededBytes = usedBytes + moreBytes
    if (batch === undefined) {
      if (neededBytes <= SMALL_BYTES) return this.#small.pop() ?? Buffer.allocUnsafeSlow(SMALL_BYTES)
      return Buffer.allocUnsafeSlow(neededBytes)
    }
    if (neededBytes <= batch.length) return batch
    const larger = Buffer.allocUnsafeSlow(Math.max(batch.length * 2, neededBytes))
    larger.set(batch.subarray(0, usedBytes))
    this.giveBack(batch)
    return larger
  }

  giveBack(batch: Buffer): void {
    if (batch.length === SMALL_BYTES && this.#small.length < SMALL_KEPT_MAX) this.#small.push(batch)
  }
}
