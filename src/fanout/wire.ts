// The port between an outbox and a socket. Implemented by the edges (WebSocket, TCP); all on the shard's thread.

import type { Disconnect } from '../protocol/codes.ts'
import type { Frame } from './frame.ts'

export type Transport = 'websocket' | 'tcp'

export type Wire = {
  readonly transport: Transport
  /**
   * Hands bytes to the socket; never blocks, never throws. Returns how many bytes wait in this process afterwards
   * because the kernel did not take them; REFUSED when the socket is gone or over its hard limit.
   */
  send(frame: Frame): number
  /** The same for one line of text (given without its line break). */
  sendText(text: string): number
  /** Bytes that wait in this process for the kernel. */
  waitingBytes(): number
  /** IP address of the client, by trusted proxies where there are some; '' when the socket is gone. */
  address(): string
  /** Says goodbye with a code, after what is already queued. The socket is closed soon after, or by `destroy`. */
  end(disconnect: Disconnect): void
  /** Closes the socket now, whatever waits. */
  destroy(): void
}

export const REFUSED = -1
