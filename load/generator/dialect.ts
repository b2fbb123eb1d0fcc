// How one speaks with a server: a small file for each. Pure; runs in the receivers and the publisher.
// Invariant: what the reader must find in each message is the mark of generator/payload.ts and nothing else.

/** Where a subscriber stood, so that it can ask for what it missed. */
export type Position = Readonly<{ epoch: string; offset: number }>

export type Sent = string | Uint8Array

export type Dialect = Readonly<{
  name: string
  /** Of the WebSocket upgrade. */
  path: string
  subprotocol?: string
  /** Frames that we send; those that come may be either. */
  opcode: 'text' | 'binary'
  /** Sent after the handshake, or at once on TCP; undefined: nothing is said before the subscription. */
  connect?: (id: number, token: string | undefined) => Sent
  /** Whether this whole message (frame or line) is the answer to connect, an error, or neither. */
  connected: (received: Buffer) => Answer
  subscribe: (id: number, channel: string, from: Position | undefined) => Sent
  subscribed: (received: Buffer, id: number) => Answer
  unsubscribe?: (id: number, channel: string) => Sent
  /** `data`: JSON text of a publication. `id` is the one of the answer. */
  publish: (id: number, channel: string, data: string) => Sent
  /** Answers to publish in these whole messages, in order: calls back with each id. Absent: nobody answers. */
  answers?: (message: Buffer, answered: (id: number, error: string | undefined) => void) => void
  /** What to send when a whole message (frame or line) is a ping of the protocol; undefined: it is none. */
  pong?: (message: Buffer) => Sent | undefined
  /** The offset of the publication that is the message bytes[from, end). Absent: no recovery. */
  offset?: (bytes: Buffer, from: number, end: number) => number | undefined
  /** What the server says of a subscription or connection that it ends, in a whole message without our mark. */
  ended?: (message: Buffer) => Readonly<{ code: number; channel?: string }> | undefined
  /**
   * Messages are lines within frames (and on TCP); else each frame is one. Lines with several publications then begin
   * with other four bytes than those with one.
   */
  lines: boolean
}>

export type Answer =
  | Readonly<{ state: 'none' }>
  | Readonly<{ state: 'error'; reason: string }>
  | Readonly<{ state: 'ok'; recovered?: boolean; wasRecovering?: boolean; position?: Position }>
