// The port between a channel's home and the shards that have subscribers: the one way out of a channel.

export type Outlet = {
  /** The largest push line that any shard can be sent, in bytes. */
  readonly lineBytesMax: number
  /** Whether a line of so many bytes can be sent to the shard now. */
  accepts(shard: number, bytes: number): boolean
  /** Sends a publication; the caller has asked `accepts`. `line` is a view that is valid until this returns. */
  deliver(shard: number, channel: string, line: Uint8Array, offset: number, acceptedUs: number): void
  /** Sends a join or leave event; false: there was no room, it was dropped. */
  announce(shard: number, channel: string, line: Uint8Array): boolean
}
