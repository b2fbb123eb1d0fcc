// WebSocket frames byte by byte (RFC 6455), for tests that have to write wrong ones. Pure.

import { randomBytes } from 'node:crypto'

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export type FrameOptions = Readonly<{
  opcode?: number
  /** False: more of the message follows. */
  final?: boolean
  /** What the header says, where that is not the truth. */
  claimedBytes?: number
}>

/** A frame of a client: masked. */
export function clientFrame(payload: string | Uint8Array, options: FrameOptions = {}): Buffer {
  const { opcode = OPCODE.text, final = true } = options
  const body = Buffer.from(payload as string)
  const bytes = options.claimedBytes ?? body.length
  const extended = bytes < 126 ? 0 : bytes < 65_536 ? 2 : 8
  const header = Buffer.alloc(2 + extended)
  header[0] = (final ? 0x80 : 0) | opcode
  header[1] = 0x80 | (extended === 0 ? bytes : extended === 2 ? 126 : 127)
  if (extended === 2) header.writeUInt16BE(bytes, 2)
  if (extended === 8) header.writeBigUInt64BE(BigInt(bytes), 2)
  const mask = randomBytes(4)
  const masked = Buffer.alloc(body.length)
  for (let i = 0; i < body.length; i++) masked[i] = body[i]! ^ mask[i % 4]!
  return Buffer.concat([header, mask, masked])
}

export type ServerFrame = Readonly<{ opcode: number; payload: Buffer }>

/** Cuts the bytes of a server into frames. */
export class ServerFrames {
  #chunks: Buffer[] = []
  #heldBytes = 0
  #neededBytes = 2

  push(chunk: Buffer): ServerFrame[] {
    this.#chunks.push(chunk)
    this.#heldBytes += chunk.length
    // Joined only once a whole frame is there: a large one comes in many chunks.
    if (this.#heldBytes < this.#neededBytes) return []
    const bytes = Buffer.concat(this.#chunks)
    const frames: ServerFrame[] = []
    let at = 0
    this.#neededBytes = 2
    while (bytes.length - at >= 2) {
      const short = bytes[at + 1]! & 0x7f
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      this.#neededBytes = header
      if (bytes.length - at < header) break
      const size =
        short < 126
          ? short
          : short === 126
            ? bytes.readUInt16BE(at + 2)
            : Number(bytes.readBigUInt64BE(at + 2))
      this.#neededBytes = header + size
      if (bytes.length - at < header + size) break
      frames.push({ opcode: bytes[at]! & 0x0f, payload: bytes.subarray(at + header, at + header + size) })
      at += header + size
      this.#neededBytes = 2
    }
    this.#chunks = [bytes.subarray(at)]
    this.#heldBytes = bytes.length - at
    return frames
  }
}
