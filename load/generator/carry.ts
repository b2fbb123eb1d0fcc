// Bytes of one connection that wait for those which make them whole. Any thread of the load.
// Invariant: its buffer is its own only while it holds something; an empty one costs nothing, since there are tens of
// thousands of connections and the socket's bytes are nearly always whole.

const EMPTY = Buffer.alloc(0)
const BYTES_MIN = 4096
/** Larger buffers are not kept for the next one who needs one. */
const KEPT_BYTES_MAX = 65_536
/** Buffers that are kept: at most 8 MiB. */
const KEPT_MAX = 128

const kept: Buffer[] = []

export class Carry {
  bytes: Buffer = EMPTY
  length = 0

  append(source: Uint8Array, from: number, end: number): void {
    const length = this.length + end - from
    if (length > this.bytes.length) this.#grow(length)
    this.bytes.set(source.subarray(from, end), this.length)
    this.length = length
  }

  clear(): void {
    if (this.bytes.length > 0 && this.bytes.length <= KEPT_BYTES_MAX && kept.length < KEPT_MAX) {
      kept.push(this.bytes)
    }
    this.bytes = EMPTY
    this.length = 0
  }

  #grow(length: number): void {
    const last = kept.at(-1)
    const larger =
      last !== undefined && last.length >= length
        ? kept.pop()!
        : Buffer.allocUnsafeSlow(Math.max(BYTES_MIN, 2 ** Math.ceil(Math.log2(length))))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }
}
