// The data of a publication: which channel, which number in it, when it was due. Written by the publisher, found by the
// receivers without parsing anything around it. Pure.
//
//   "~fw~ 000007 0000000042 0000123456789012 ~ abcdefghij…"     (without the spaces)
//    mark channel sequence    due, in µs       filler
//
// Invariant: all numbers have a fixed width, and no character is one that JSON escapes, so that a payload has the same
// bytes in every protocol and publications of a channel have the same length.

export const MARK = Buffer.from('~fw~')

const CHANNEL_DIGITS = 6
const SEQUENCE_DIGITS = 10
const DUE_DIGITS = 16
const END = '~'
const FILLER = 'abcdefghijklmnopqrstuvwxyz0123456789'

/** From the first byte of the mark to the one behind the last number's end. */
export const MARKED_BYTES = MARK.length + CHANNEL_DIGITS + SEQUENCE_DIGITS + DUE_DIGITS + END.length
/** With the two quotes. */
export const PAYLOAD_BYTES_MIN = MARKED_BYTES + 2
export const CHANNELS_MAX = 10 ** CHANNEL_DIGITS

/** JSON text of exactly `size` bytes. `dueUs` loses its fraction. */
export function payloadText(channel: number, sequence: number, dueUs: number, size: number): string {
  const head =
    String(channel).padStart(CHANNEL_DIGITS, '0') +
    String(sequence).padStart(SEQUENCE_DIGITS, '0') +
    String(Math.floor(dueUs)).padStart(DUE_DIGITS, '0')
  return `"~fw~${head}${END}${fillerOf(size - PAYLOAD_BYTES_MIN)}"`
}

let filler = ''

function fillerOf(length: number): string {
  if (filler.length < length) filler = FILLER.repeat(Math.ceil(length / FILLER.length))
  return filler.slice(0, length)
}

/** What readMark() read last: one place for all, since an object for each publication would cost more than reading it. */
export const marked = { channel: 0, sequence: 0 }

const ZERO = 0x30
const TILDE = 0x7e

/**
 * Reads the numbers behind a mark that begins at `at`. The bytes up to MARKED_BYTES from there must be in the buffer.
 * @returns when the publication was due, in µs; −1: these are no numbers. Channel and sequence are in `marked`.
 */
export function readMark(bytes: Uint8Array, at: number): number {
  const channelAt = at + 4
  const sequenceAt = channelAt + CHANNEL_DIGITS
  const dueAt = sequenceAt + SEQUENCE_DIGITS
  // Negative as soon as one byte is no digit: both differences of a digit are positive.
  let odd = bytes[dueAt + DUE_DIGITS]! === TILDE ? 0 : -1
  let channel = 0
  for (let i = channelAt; i < sequenceAt; i++) {
    const digit = bytes[i]! - ZERO
    odd |= digit | (9 - digit)
    channel = channel * 10 + digit
  }
  // In parts of eight digits, which are small integers to the engine; more would be floating point.
  let sequenceHigh = 0
  for (let i = sequenceAt; i < sequenceAt + 2; i++) {
    const digit = bytes[i]! - ZERO
    odd |= digit | (9 - digit)
    sequenceHigh = sequenceHigh * 10 + digit
  }
  let sequenceLow = 0
  for (let i = sequenceAt + 2; i < dueAt; i++) {
    const digit = bytes[i]! - ZERO
    odd |= digit | (9 - digit)
    sequenceLow = sequenceLow * 10 + digit
  }
  let dueHigh = 0
  for (let i = dueAt; i < dueAt + 8; i++) {
    const digit = bytes[i]! - ZERO
    odd |= digit | (9 - digit)
    dueHigh = dueHigh * 10 + digit
  }
  let dueLow = 0
  for (let i = dueAt + 8; i < dueAt + DUE_DIGITS; i++) {
    const digit = bytes[i]! - ZERO
    odd |= digit | (9 - digit)
    dueLow = dueLow * 10 + digit
  }
  if (odd < 0) return -1
  marked.channel = channel
  marked.sequence = sequenceHigh * 1e8 + sequenceLow
  return dueHigh * 1e8 + dueLow
}
