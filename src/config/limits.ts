// Limits that nobody can configure, each with its reason. Any thread.
// The limits of the wire format itself stand with their parsers in protocol/.

/** Holders of a node in the shared tables are bits in two 32-bit words. */
export const SHARDS_MAX = 64

/**
 * A frame header that announces a large payload makes the WebSocket library reserve that much at once, before a
 * byte of it came, so 10,000 connections could take 10,000 times this for nothing. Files travel over HTTP.
 */
export const WEBSOCKET_PAYLOAD_BYTES_MAX = 72 * 1024

/**
 * Room above client.message_size_limit in which a frame is still received whole, so that its sender is told why it
 * is disconnected; a frame beyond it the library drops with the whole connection and without a word.
 */
export const WEBSOCKET_PAYLOAD_RESERVE_BYTES = 8 * 1024

/** The largest client.message_size_limit: what is left of the library's payload after the reserve. */
export const MESSAGE_SIZE_LIMIT_MAX_BYTES = WEBSOCKET_PAYLOAD_BYTES_MAX - WEBSOCKET_PAYLOAD_RESERVE_BYTES

/**
 * The smallest subscribe command has about 40 bytes, so a frame of 64 KiB holds some 1,600 commands that make sense,
 * as SDKs send them together after a reconnect. More of them are a flood of empty ones.
 */
export const COMMANDS_PER_FRAME_MAX = 2_048

/** Commands with a wrong field that end a connection (3509): an SDK makes none, a person at a terminal a few. */
export const BAD_COMMANDS_MAX = 16

/** A user's id is sent with each of its publications and may be part of channel names, which are as long at most. */
export const USER_ID_BYTES_MAX = 255

/** How long the same idempotency key publishes nothing again: as in Centrifugo. */
export const IDEMPOTENCY_WINDOW_MS = 5 * 60_000

/** Idempotency keys that a shard remembers: about 16 MB of keys and results. Past it the oldest is forgotten. */
export const IDEMPOTENCY_ENTRIES_MAX = 65_536

/** An idempotency key is an id (a UUID has 36 bytes), not a document. */
export const IDEMPOTENCY_KEY_LENGTH_MAX = 128

/** Channels of one broadcast: each costs a hop to its home, and one request must not hold up a tick. */
export const BROADCAST_CHANNELS_MAX = 1_000

/** Commands of one batch request, for the same reason. */
export const API_BATCH_COMMANDS_MAX = 1_000

/** Tags of a publication and the bytes of all their keys and values: they go to every subscriber with it. */
export const PUBLICATION_TAGS_MAX = 16
export const PUBLICATION_TAGS_BYTES_MAX = 1_024

/** A configuration is read at once into memory; a larger file is not a configuration. */
export const CONFIG_FILE_BYTES_MAX = 1024 * 1024

/** Namespaces are written by hand; each costs one record a thread. */
export const NAMESPACES_MAX = 1_024

/** Proxies are written by hand as well, and each connection's address is looked up in all of them. */
export const TRUSTED_PROXIES_MAX = 64

/** The expression of channel_regex and the origins are written by hand too. */
export const CHANNEL_REGEX_LENGTH_MAX = 256
export const ALLOWED_ORIGINS_MAX = 256

/** A folder that one relay at a time may use holds a socket as its lock, whose path has 107 bytes at most. */
export const LOCKED_PATH_BYTES_MAX = 90
