// Layout of a ring: one SharedArrayBuffer, one producer thread, one consumer thread.
// Invariant: 0 <= producer position - consumer position <= capacity, as u32 numbers that wrap.
//
//   byte    0  +-----------------------------+
//              | consumer position       u32 |  written by the consumer only
//   byte  128  +-----------------------------+
//              | producer position       u32 |  written by the producer only
//   byte  256  +-----------------------------+
//              | data, `capacity` bytes      |  bytes from the consumer position to the producer position are
//              |                             |  the consumer's to read, all others the producer's to write
//              +-----------------------------+
//
// Positions count bytes since the start and wrap at 2^32; a position modulo the capacity (a power of two) is
// an offset in the data. Each position lies alone on two cache lines: processors fetch lines in pairs.
//
// A record starts at a multiple of 8 and never wraps, so that one view covers it:
//
//   byte 0             4           8         8 + pad     align8(8 + headBytes)        recordBytes
//        +-------------+-----------+---------+-----------+----------------------------+---------+
//        | recordBytes | headBytes | 0-7 pad | head      | payload                    | 0-7 pad |
//        | u32         | u32       |         |           | starts at a multiple of 8  |         |
//        +-------------+-----------+---------+-----------+----------------------------+---------+
//
// recordBytes counts from the header to the end of the payload; the next record follows at its next multiple
// of 8. The pad stands before the head so that head and payload touch and the payload is aligned: into and
// from shared memory V8 copies by words only where source and target are aligned alike (4 KiB: 0.15 us
// against 1.0 us). Where a record doesn't fit before the end of the data, a padding record fills the rest:
// headBytes = PADDING, recordBytes up to the end.
//
// recordBytes and headBytes are written by the producer only, before it stores its position.

/** Index of the consumer position in an Int32Array over the whole memory. */
export const CONSUMER_POSITION_INDEX = 0
/** Index of the producer position in an Int32Array over the whole memory. */
export const PRODUCER_POSITION_INDEX = 128 / 4
/** Where the data begins, in bytes from the start of the memory. */
export const DATA_OFFSET_BYTES = 256

/** recordBytes and headBytes. */
export const RECORD_HEADER_BYTES = 8
/** Records and payloads start at multiples of this. */
export const RECORD_ALIGNMENT_BYTES = 8
/** The header and the longest pad before a head. */
export const RECORD_OVERHEAD_BYTES_MAX = RECORD_HEADER_BYTES + RECORD_ALIGNMENT_BYTES - 1
/** In place of headBytes: nothing to deliver, skip to the end of the data. */
export const PADDING = -1

/** Below 1 KiB a record of the maximum size (a quarter) would hardly hold an envelope. */
export const RING_CAPACITY_BYTES_MIN = 1024
/** So that the difference of two positions and each offset are small integers for V8 (31 bits and a sign). */
export const RING_CAPACITY_BYTES_MAX = 2 ** 30

/**
 * The greatest recordBytes is the capacity divided by this. A record and the padding before it then take
 * less than half of the ring: an empty ring has room for each legal record, whatever its position, and a
 * consumer can work on one great record while the producer writes the next.
 */
export const RECORDS_MIN = 4

export function alignUp(bytes: number): number {
  return (bytes + (RECORD_ALIGNMENT_BYTES - 1)) & -RECORD_ALIGNMENT_BYTES
}
