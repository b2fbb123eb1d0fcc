// Where the numbers of the shards lie in shared memory. Any thread.
// Invariant: no two rows touch one cache line, wherever the buffer itself begins.
//
//   byte 0            8              8 × slots                rowStrideBytes
//   │ slot 0 (f64)    │ slot 1 (f64) │ …  │ padding ≥ PADDING_BYTES        │   row of shard 0
//   │ slot 0 (f64)    │ …                                                  │   row of shard 1
//   …
//
// A slot is one number: a counter, a gauge, or a part of a histogram (metrics/slots.ts gives the slots their
// meaning and unit). Single writer of a row: its shard. Reader: main, at a scrape.

/** A double; exact as a counter up to 2^53. */
export const SLOT_BYTES = 8

/**
 * Two cache lines of 64 bytes, because processors fetch neighbouring lines in pairs. The padding comes on top
 * of the rounded row: V8 promises only 16 bytes of alignment for a buffer, so that rounding alone would let
 * the end of one row and the start of the next share a line.
 */
export const PADDING_BYTES = 128

/** One row a shard: `shards` in the configuration is 64 at most. */
export const COUNTER_ROWS_MAX = 64

/** Far above what the catalog needs (some hundreds); a larger number is a mistake in the caller. */
export const COUNTER_SLOTS_MAX = 16_384

export function rowStrideBytes(slots: number): number {
  return Math.ceil((slots * SLOT_BYTES) / PADDING_BYTES) * PADDING_BYTES + PADDING_BYTES
}
