// Cuts a byte stream into lines of JSON text. Any thread; one reader a TCP connection.
// Invariant: never holds more than `lineBytesMax` bytes of a line that has not ended yet.

export type LineProblem = 'line_too_long' | 'not_utf8'

const NEWLINE = 0x0a
const NOTHING = new Uint8Array(0)
/** JSON's white space alone; trim() would take a byte order mark for some. */
const BLANK = /^[ \t\r]*$/

export class LineReader {
  readonly #lineBytesMax: number
  // One buffer that grows by doubling: a list of chunks would let who sends byte by byte take a hundred times the
  // bytes of the line.
  #held = NOTHING
  #heldBytes = 0

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** Bytes of the line that has begun but not ended; 0: the stream stands between two lines. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * Takes the next chunk (copied where it has to be kept) and calls `onLine` for each line that ends in it, in
   * order, without its line break. Empty lines are passed over. `onLine` returns false to stop.
   */
  push(chunk: Uint8Array, onLine: (line: string) => boolean): LineProblem | undefined {
    const lastBreak = chunk.lastIndexOf(NEWLINE)
    if (lastBreak < 0) return this.#hold(chunk)
    const whole = this.#heldBytes === 0 ? chunk.subarray(0, lastBreak) : this.#withHeld(chunk, lastBreak)
    const rest = chunk.subarray(lastBreak + 1)
    const problem = this.#emit(whole, onLine)
    if (problem !== undefined) return problem
    return rest.length > 0 ? this.#hold(rest) : undefined
  }

  #hold(bytes: Uint8Array): LineProblem | undefined {
    const neededBytes = this.#heldBytes + bytes.length
    if (neededBytes > this.#lineBytesMax) return 'line_too_long'
    if (neededBytes > this.#held.length) {
      const larger = new Uint8Array(
        Math.min(Math.max(neededBytes, this.#held.length * 2), this.#lineBytesMax),
      )
      larger.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = larger
    }
    this.#held.set(bytes, this.#heldBytes)
    this.#heldBytes = neededBytes
    return undefined
  }

  #withHeld(chunk: Uint8Array, end: number): Uint8Array {
    const whole = new Uint8Array(this.#heldBytes + end)
    whole.set(this.#held.subarray(0, this.#heldBytes))
    whole.set(chunk.subarray(0, end), this.#heldBytes)
    this.#held = NOTHING
    this.#heldBytes = 0
    return whole
  }

  #emit(bytes: Uint8Array, onLine: (line: string) => boolean): LineProblem | undefined {
    let start = 0
    while (start <= bytes.length) {
      let end = bytes.indexOf(NEWLINE, start)
      if (end < 0) end = bytes.length
      if (end - start > this.#lineBytesMax) return 'line_too_long'
      const line = decode(bytes.subarray(start, end))
      if (line === undefined) return 'not_utf8'
      if (!BLANK.test(line) && !onLine(line)) return undefined
      start = end + 1
    }
    return undefined
  }
}

// ignoreBOM: a byte order mark is not JSON, and must not be swallowed silently.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}
