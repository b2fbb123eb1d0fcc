// Connections in memory for the tests of this folder: a wire that remembers what it was sent and can be made slow,
// and the options of the channels that they are subscribed to.

import type { ResolvedOptions } from '../../src/config/namespaces.ts'
import { type Frame, stableLines } from '../../src/fanout/frame.ts'
import { Outbox, type OutboxLimits, type OutboxOwner } from '../../src/fanout/outbox.ts'
import { REFUSED, type Transport, type Wire } from '../../src/fanout/wire.ts'
import type { Disconnect } from '../../src/protocol/codes.ts'

export class RecordingWire implements Wire {
  readonly transport: Transport
  /** Each send, as the lines that it had. */
  readonly sends: string[][] = []
  /** The codes of its goodbyes: one at most. */
  readonly ends: number[] = []
  /** The kernel takes nothing: bytes wait here. */
  stuck = false
  refuses = false
  #waitingBytes = 0
  readonly #kept: { bytes: Buffer; text: string }[] = []

  constructor(transport: Transport = 'websocket') {
    this.transport = transport
  }

  send(frame: Frame): number {
    const text = Buffer.from(frame.lines).toString()
    if (!text.endsWith('\n')) throw new Error('each line ends with a line break')
    if (Buffer.from(frame.message).toString() !== text.slice(0, -1))
      throw new Error('message and lines differ')
    // What a transport that writes later would keep.
    this.#kept.push({ bytes: stableLines(frame), text })
    return this.#take(text.slice(0, -1).split('\n'), frame.lines.length)
  }

  sendText(text: string): number {
    return this.#take([text], text.length + 1)
  }

  #take(lines: string[], bytes: number): number {
    if (this.refuses) return REFUSED
    this.sends.push(lines)
    if (this.stuck) this.#waitingBytes += bytes
    return this.#waitingBytes
  }

  waitingBytes(): number {
    return this.#waitingBytes
  }

  address(): string {
    return '192.0.2.1'
  }

  drained(): void {
    this.stuck = false
    this.#waitingBytes = 0
  }

  get lines(): string[] {
    return this.sends.flat()
  }

  /** Frames that were kept for later still say what they said when they were sent. */
  keptFramesAreIntact(): boolean {
    return this.#kept.every(({ bytes, text }) => bytes.toString() === text)
  }

  end({ code }: Disconnect): void {
    this.ends.push(code)
  }

  destroy(): void {}
}

/** What a session is to an outbox, as far as the outbox sees it. */
export class RecordingOwner implements OutboxOwner {
  tooSlow = 0
  lagging = 0
  flushed = 0
  onTooSlow(): void {
    this.tooSlow++
  }
  onLagging(): void {
    this.lagging++
  }
  onFlushed(): void {
    this.flushed++
  }
}

export const LIMITS: OutboxLimits = { softBytes: 1000, hardBytes: 1 << 30 }

export function createConnection(limits = LIMITS, transport: Transport = 'websocket') {
  const wire = new RecordingWire(transport)
  const owner = new RecordingOwner()
  return { wire, owner, outbox: new Outbox(wire, owner, limits) }
}

export type Connection = ReturnType<typeof createConnection>

/** Only what this layer looks at has a meaning here. */
export function optionsOf(
  slowClient: ResolvedOptions['slow_client'],
  historyEnabled: boolean,
): ResolvedOptions {
  return { namespace: '', historyEnabled, slow_client: slowClient } as ResolvedOptions
}
