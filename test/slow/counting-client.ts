// A subscriber that looks at nothing but offsets, so that a thousand of them fit into one process that measures.
// The script's stand-in for RawClient, which keeps all it got.

import type { Socket } from 'node:net'
import { RawClient, type Transport } from '../support/raw-client.ts'

const OFFSET = Buffer.from('"offset":')

export class CountingClient {
  readonly socket: Socket
  lastOffset: number
  /** Offsets that did not follow the one before. */
  gaps = 0
  closed = false
  onOffset: ((offset: number) => void) | undefined
  #tail = Buffer.alloc(0)

  private constructor(socket: Socket, offset: number) {
    this.socket = socket
    this.lastOffset = offset
    socket.removeAllListeners('data')
    socket.on('data', chunk => this.#onBytes(chunk))
    socket.on('close', () => {
      this.closed = true
    })
  }

  /** Connected and subscribed. Nothing may be published to the channel meanwhile. */
  static async open(
    relay: { ports: { http: number; tcp: number } },
    transport: Transport,
    channel: string,
  ): Promise<CountingClient> {
    const client = await RawClient.connect(relay, transport)
    const { subscribe } = await client.subscribe(2, channel)
    return new CountingClient(client.socket, subscribe.offset ?? 0)
  }

  #onBytes(chunk: Buffer): void {
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk])
    let at = bytes.indexOf(OFFSET)
    let end = 0
    while (at >= 0) {
      const start = at + OFFSET.length
      let stop = start
      while (stop < bytes.length && bytes[stop]! >= 0x30 && bytes[stop]! <= 0x39) stop++
      // The number may go on in the next chunk.
      if (stop === bytes.length) break
      this.#see(Number(bytes.toString('latin1', start, stop)))
      end = stop
      at = bytes.indexOf(OFFSET, stop)
    }
    this.#tail = Buffer.from(bytes.subarray(at >= 0 ? at : Math.max(end, bytes.length - OFFSET.length)))
  }

  #see(offset: number): void {
    if (offset !== this.lastOffset + 1) this.gaps++
    this.lastOffset = offset
    this.onOffset?.(offset)
  }
}
