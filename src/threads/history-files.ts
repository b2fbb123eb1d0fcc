// Files of histories, written and read in pieces. Runs on a shard, at its very end and before it takes connections:
// the only times at which a shard may wait for a disk. Between pieces its loop turns, so that it is not taken for stuck.

import { closeSync, fsyncSync, openSync, readSync, renameSync, writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { assert } from '../base/assert.ts'
import { KEPT_LINE_BYTES_MAX, KeptDamageError } from '../history/kept.ts'

/** What is written or read at once: large enough for the disk, a few milliseconds of work for the loop. */
const PIECE_BYTES = 1 << 20
const LINE_BREAK = 0x0a

export type Written = Readonly<{ bytes: number; crc32: number }>

/**
 * Writes a file of lines, and makes it durable before it gets its name. What the lines throw passes on; the file
 * without its name is left for the next start to remove.
 */
export async function writeLines(path: string, lines: Iterable<string>): Promise<Written> {
  const file = openSync(`${path}.new`, 'w', 0o600)
  try {
    const writer = new PieceWriter(file)
    for (const line of lines) if (writer.add(line)) await nextTurn()
    writer.flush()
    fsyncSync(file)
    renameSync(`${path}.new`, path)
    return { bytes: writer.bytes, crc32: writer.crc32 }
  } finally {
    closeSync(file)
  }
}

class PieceWriter {
  bytes = 0
  crc32 = 0
  readonly #file: number
  readonly #piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
  #filled = 0

  constructor(file: number) {
    this.#file = file
  }

  /** Returns whether a piece went to the disk. */
  add(line: string): boolean {
    // Three bytes of UTF-8 a code unit at most, and the line break.
    const bytesMax = line.length * 3 + 1
    const isFull = this.#filled + bytesMax > PIECE_BYTES
    if (isFull) this.flush()
    if (bytesMax > PIECE_BYTES) {
      this.#write(Buffer.from(`${line}\n`))
    } else {
      this.#filled += this.#piece.write(line, this.#filled, 'utf8')
      this.#piece[this.#filled++] = LINE_BREAK
    }
    return isFull
  }

  flush(): void {
    this.#write(this.#piece.subarray(0, this.#filled))
    this.#filled = 0
  }

  #write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at)
    this.bytes += bytes.length
    this.crc32 = crc32(bytes, this.crc32)
  }
}

/** A file is not what it was when it was written. */
export class DamagedFileError extends Error {
  override name = 'DamagedFileError'
  /** Counted from 1. */
  readonly line: number

  constructor(line: number, why: string) {
    super(why)
    this.line = line
  }
}

/** What gets the lines of a file: without line breaks, bytes[start, end), views that are valid until `line` returns. */
export type LineTaker = Readonly<{ line(bytes: Buffer, start: number, end: number): void; end(): void }>

/** Hands over all lines of a file and checks that it is whole. */
export async function readLines(path: string, written: Written, taker: LineTaker): Promise<void> {
  const file = openSync(path, 'r')
  const reader = new LineSplitter(taker)
  let bytes = 0
  let crc = 0
  try {
    for (;;) {
      const piece = reader.room()
      const count = readSync(file, piece, 0, piece.length, null)
      if (count === 0) break
      bytes += count
      if (bytes > written.bytes) throw new DamagedFileError(reader.line, 'longer than it was written')
      crc = crc32(piece.subarray(0, count), crc)
      reader.filled(count)
      await nextTurn()
    }
  } finally {
    closeSync(file)
  }
  if (bytes < written.bytes)
    throw new DamagedFileError(reader.line, `ends after ${bytes} of ${written.bytes} bytes`)
  if (crc !== written.crc32) throw new DamagedFileError(reader.line, 'its checksum is another')
  reader.end()
}

class LineSplitter {
  /** The number of the line that is read next, from 1. */
  line = 1
  readonly #taker: LineTaker
  #buffer = Buffer.allocUnsafeSlow(2 * PIECE_BYTES)
  #held = 0

  constructor(taker: LineTaker) {
    this.#taker = taker
  }

  /** Where the next piece goes. */
  room(): Buffer {
    if (this.#buffer.length - this.#held < PIECE_BYTES) {
      const larger = Buffer.allocUnsafeSlow(this.#buffer.length * 2)
      this.#buffer.copy(larger, 0, 0, this.#held)
      this.#buffer = larger
    }
    return this.#buffer.subarray(this.#held, this.#held + PIECE_BYTES)
  }

  filled(count: number): void {
    const end = this.#held + count
    assert(end <= this.#buffer.length, 'a piece fits into its room')
    let start = 0
    // What was held has no line break in it.
    for (let at = this.#held; ; at = start) {
      const lineEnd = this.#buffer.indexOf(LINE_BREAK, at)
      if (lineEnd < 0 || lineEnd >= end) break
      this.#take(start, lineEnd)
      start = lineEnd + 1
    }
    this.#buffer.copyWithin(0, start, end)
    this.#held = end - start
    if (this.#held > KEPT_LINE_BYTES_MAX) throw new DamagedFileError(this.line, 'a line is too long')
  }

  end(): void {
    if (this.#held > 0) throw new DamagedFileError(this.line, 'the last line has no end')
    this.#located(() => this.#taker.end())
  }

  #take(start: number, end: number): void {
    this.#located(() => this.#taker.line(this.#buffer, start, end))
    this.line++
  }

  #located(take: () => void): void {
    try {
      take()
    } catch (error) {
      if (error instanceof KeptDamageError) throw new DamagedFileError(this.line, error.message)
      throw error
    }
  }
}
