// What goes out to one or many connections in one send: lines of JSON, encoded once. Runs on a shard.
// Invariant: `lines` and `message` are views on memory that is used again after the flush; whoever keeps a frame
// longer (a transport that writes later, a lagging connection) takes the stable copy, which all of them share.

export type Frame = {
  /** The lines, each ended by a line break: what a TCP connection is sent. */
  readonly lines: Uint8Array
  /** The same without the last line break: one WebSocket message. */
  readonly message: Uint8Array
  /** How many publications are in it, and how many join and leave events. */
  readonly publications: number
  readonly events: number
  stable: Buffer | undefined
}

export function frameOf(lines: Uint8Array, publications: number, events = 0): Frame {
  return { lines, message: lines.subarray(0, lines.length - 1), publications, events, stable: undefined }
}

/** The lines in memory that nobody writes to any more; copied at the first call, shared by all later ones. */
export function stableLines(frame: Frame): Buffer {
  frame.stable ??= Buffer.from(frame.lines)
  return frame.stable
}

/** A frame over its own stable copy. */
export function stableFrame(frame: Frame): Frame {
  if (frame.stable === frame.lines) return frame
  const lines = stableLines(frame)
  const kept = frameOf(lines, frame.publications, frame.events)
  kept.stable = lines
  return kept
}

/**
 * The newest publication of a frame alone. A frame with join and leave events stays whole: its last line may be one.
 */
export function newestOf(frame: Frame): Frame {
  if (frame.publications <= 1 || frame.events > 0) return frame
  const { lines } = frame
  const start = lines.lastIndexOf(NEWLINE, lines.length - 2) + 1
  return frameOf(lines.subarray(start), 1)
}

const NEWLINE = 0x0a
