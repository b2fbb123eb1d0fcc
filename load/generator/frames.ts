// Cuts the bytes of a connection into blocks of whole messages: WebSocket frames (RFC 6455) or lines. Pure.
// Invariant: a block is in one piece and in order; what is not whole yet is carried, at most MESSAGE_BYTES_MAX of it.

import { Carry } from './carry.ts'

/**
 * A relay's largest messages are answers to resubscriptions, with half a MiB. nats-server puts all that waits for a
 * client in one frame: this is what waits at 10,000 messages a second after some seconds.
 */
export const MESSAGE_BYTES_MAX = 2 ** 23

export type BlockEvents = Readonly<{
  /** Whole messages: bytes[from, end), which are good until it returns; `atUs` is when they were read. */
  onBlock: (bytes: Buffer, from: number, end: number, atUs: number) => void
  onPing: (payload: Buffer) => void
  /** 1005: a close frame without a code. */
  onClose: (code: number, reason: string) => void
  /** These bytes are against the protocol; nothing after them is read. */
  onError: (reason: string) => void
}>

/** Takes what was read: bytes[from, end). */
export type Cutter = Readonly<{ take: (bytes: Buffer, from: number, end: number, atUs: number) => void }>

const FINAL = 0x80
const RESERVED = 0x70
const MASKED = 0x80
const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const CONTROL = 0x08
const LENGTH_16_BITS = 126
const LENGTH_64_BITS = 127
const NO_CODE = 1005

/** Of a server: unmasked. */
export class FrameCutter implements Cutter {
  readonly #events: BlockEvents
  /** The beginning of a frame, with its header. */
  readonly #carry = new Carry()
  /** The payloads of a message in several frames. */
  readonly #fragments = new Carry()
  #fragmented = false
  #ended = false

  constructor(events: BlockEvents) {
    this.#events = events
  }

  take(bytes: Buffer, from: number, end: number, atUs: number): void {
    if (this.#carry.length > 0) from = this.#complete(bytes, from, end, atUs)
    while (from < end && !this.#ended) {
      const frameBytes = bytesOfFrame(bytes, from, end)
      if (frameBytes === 0 || from + frameBytes > end) {
        if (frameBytes > MESSAGE_BYTES_MAX) return this.#fail(`a frame of ${frameBytes} bytes`)
        this.#carry.append(bytes, from, end)
        return
      }
      this.#takeFrame(bytes, from, frameBytes, atUs)
      from += frameBytes
    }
  }

  /** Adds to the frame that is carried. Returns where the next one begins. */
  #complete(bytes: Buffer, from: number, end: number, atUs: number): number {
    const carry = this.#carry
    let frameBytes = bytesOfFrame(carry.bytes, 0, carry.length)
    for (; frameBytes === 0 && from < end; from++) {
      carry.append(bytes, from, from + 1)
      frameBytes = bytesOfFrame(carry.bytes, 0, carry.length)
    }
    if (frameBytes === 0) return end
    if (frameBytes > MESSAGE_BYTES_MAX) {
      this.#fail(`a frame of ${frameBytes} bytes`)
      return end
    }
    const next = Math.min(end, from + frameBytes - carry.length)
    carry.append(bytes, from, next)
    if (carry.length < frameBytes) return end
    this.#takeFrame(carry.bytes, 0, frameBytes, atUs)
    carry.clear()
    return next
  }

  #takeFrame(bytes: Buffer, at: number, frameBytes: number, atUs: number): void {
    const first = bytes[at]!
    const end = at + frameBytes
    const from = at + bytesOfHeader(bytes[at + 1]!)
    if ((first & RESERVED) !== 0 || (bytes[at + 1]! & MASKED) !== 0) {
      return this.#fail('a frame with reserved bits or a mask')
    }
    const opcode = first & 0x0f
    const final = (first & FINAL) !== 0
    if (opcode >= CONTROL) return this.#takeControl(opcode, bytes.subarray(from, end), final)
    if ((opcode === OPCODE.continuation) !== this.#fragmented || opcode > OPCODE.binary) {
      return this.#fail(`a frame with opcode ${opcode} where none may be`)
    }
    if (final && !this.#fragmented) return this.#events.onBlock(bytes, from, end, atUs)
    const fragments = this.#fragments
    if (fragments.length + end - from > MESSAGE_BYTES_MAX) return this.#fail('a message too large')
    fragments.append(bytes, from, end)
    this.#fragmented = !final
    if (!final) return
    this.#events.onBlock(fragments.bytes, 0, fragments.length, atUs)
    fragments.clear()
  }

  #takeControl(opcode: number, payload: Buffer, final: boolean): void {
    if (!final || payload.length >= LENGTH_16_BITS) return this.#fail('a control frame that is no whole one')
    if (opcode === OPCODE.ping) this.#events.onPing(payload)
    else if (opcode === OPCODE.close) {
      this.#ended = true
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : NO_CODE
      this.#events.onClose(code, payload.toString('utf8', 2))
    } else if (opcode !== OPCODE.pong) this.#fail(`a frame with opcode ${opcode}`)
  }

  #fail(reason: string): void {
    this.#ended = true
    this.#events.onError(reason)
  }
}

/** Header and payload; 0: the header is not whole. */
function bytesOfFrame(bytes: Buffer, at: number, end: number): number {
  if (end - at < 2) return 0
  const short = bytes[at + 1]! & ~MASKED
  if (short < LENGTH_16_BITS) return 2 + short
  if (short === LENGTH_16_BITS) return end - at < 4 ? 0 : 4 + bytes.readUInt16BE(at + 2)
  return end - at < 10 ? 0 : 10 + bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6)
}

function bytesOfHeader(second: number): number {
  const short = second & ~MASKED
  return short === LENGTH_64_BITS ? 10 : short === LENGTH_16_BITS ? 4 : 2
}

const NEWLINE = 0x0a

/** Lines of a TCP connection; a block is several of them, without the last line break. */
export class LineCutter implements Cutter {
  readonly #events: BlockEvents
  readonly #carry = new Carry()
  #ended = false

  constructor(events: BlockEvents) {
    this.#events = events
  }

  take(bytes: Buffer, from: number, end: number, atUs: number): void {
    if (this.#ended) return
    const carry = this.#carry
    if (carry.length > 0) {
      const lineEnd = bytes.indexOf(NEWLINE, from)
      if (lineEnd < 0 || lineEnd >= end) return this.#keep(bytes, from, end)
      carry.append(bytes, from, lineEnd)
      this.#events.onBlock(carry.bytes, 0, carry.length, atUs)
      carry.clear()
      from = lineEnd + 1
    }
    if (from === end) return
    const lastEnd = bytes.lastIndexOf(NEWLINE, end - 1)
    if (lastEnd < from) return this.#keep(bytes, from, end)
    this.#events.onBlock(bytes, from, lastEnd, atUs)
    if (lastEnd + 1 < end) this.#keep(bytes, lastEnd + 1, end)
  }

  #keep(bytes: Buffer, from: number, end: number): void {
    if (this.#carry.length + end - from > MESSAGE_BYTES_MAX) {
      this.#ended = true
      this.#events.onError(`a line of more than ${MESSAGE_BYTES_MAX} bytes`)
      return
    }
    this.#carry.append(bytes, from, end)
  }
}

/**
 * A frame of a client. They must be masked; a mask of zeros is one, and leaves the bytes as they are.
 * @param data one message
 */
export function clientFrame(data: string | Uint8Array, kind: 'text' | 'binary' | 'close' | 'pong'): Buffer {
  const bytes = typeof data === 'string' ? Buffer.byteLength(data) : data.length
  const headerBytes = bytes < LENGTH_16_BITS ? 2 : bytes < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(headerBytes + 4 + bytes)
  frame[0] = FINAL | OPCODE[kind]
  frame[1] = MASKED | (headerBytes === 2 ? bytes : headerBytes === 4 ? LENGTH_16_BITS : LENGTH_64_BITS)
  if (headerBytes === 4) frame.writeUInt16BE(bytes, 2)
  if (headerBytes === 10) frame.writeBigUInt64BE(BigInt(bytes), 2)
  frame.writeUInt32LE(0, headerBytes)
  if (typeof data === 'string') frame.write(data, headerBytes + 4)
  else frame.set(data, headerBytes + 4)
  return frame
}

/** Each message of a block by itself: its lines, or itself where messages are no lines. For all that is no hot path. */
export function eachMessage(
  block: Buffer,
  lines: boolean,
  visit: (message: Buffer, end: number) => void,
): void {
  let from = 0
  while (from < block.length) {
    const lineEnd = lines ? block.indexOf(NEWLINE, from) : -1
    const end = lineEnd < 0 ? block.length : lineEnd
    if (end > from) visit(block.subarray(from, end), end)
    from = end + 1
  }
}
