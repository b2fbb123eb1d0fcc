// The format in which histories are carried over a planned restart: lines of JSON. Pure.
//
//   {"fanwire":"histories","version":1}
//   {"channel":"chat:1","epoch":"kB3_xQ2a","offset":7,"used":1795160118748,"publications":2}
//   [1795160110001,{"push":{"channel":"chat:1","pub":{"data":…,"offset":6}}}]
//   [1795160118748,{"push":{"channel":"chat:1","pub":{"data":…,"offset":7}}}]
//   {"key":"order-17","channel":"chat:1","epoch":"kB3_xQ2a","offset":7,"until":1795160418748}
//
// Times are milliseconds of the wall clock: the monotonic clock starts over with the machine. A channel is followed by
// as many publications as it says, oldest first, the last of them at its offset; keys stand at the end.

/** What is known of a channel beside its publications. `usedMs`: when it was used last. */
export type KeptChannel = Readonly<{
  name: string
  epoch: string
  /** Of the newest publication, 0: there was none yet. */
  offset: number
  usedMs: number
  publications: number
}>

/** An idempotency key and what its publication got. */
export type KeptKey = Readonly<{
  channel: string
  key: string
  epoch: string
  offset: number
  untilMs: number
}>

/** The longest publication that a ring of the largest size takes, with its time around it. */
export const KEPT_LINE_BYTES_MAX = (64 << 20) + 64

export const HEAD_LINE = '{"fanwire":"histories","version":1}'

export function channelLine({ name, epoch, offset, usedMs, publications }: KeptChannel): string {
  return JSON.stringify({ channel: name, epoch, offset, used: usedMs, publications })
}

/** `text`: the push line as it is in the window, JSON without line breaks. */
export function publicationLine(atMs: number, text: string): string {
  return `[${atMs},${text}]`
}

export function keyLine({ channel, key, epoch, offset, untilMs }: KeptKey): string {
  return JSON.stringify({ key, channel, epoch, offset, until: untilMs })
}

/** The lines are not what we write. */
export class KeptDamageError extends Error {
  override name = 'KeptDamageError'
}

/** Takes a publication; false: it is none of this channel. */
export type TakePublication = (text: string, textBytes: number, atMs: number) => boolean

export type KeptSink = Readonly<{
  /** Undefined: the channel is not wanted here, and its publications are passed over. */
  channel(kept: KeptChannel): TakePublication | undefined
  key(kept: KeptKey): void
}>

const PASS_OVER: TakePublication = () => true

/** Reads the lines of one file, one after the other; what it throws says what is wrong with a line. */
export class KeptReader {
  readonly #sink: KeptSink
  #hasHead = false
  #publicationsLeft = 0
  #take: TakePublication = PASS_OVER
  #atMs = Number.NEGATIVE_INFINITY

  constructor(sink: KeptSink) {
    this.#sink = sink
  }

  /** One line, without its line break: bytes[start, end). */
  line(bytes: Buffer, start: number, end: number): void {
    if (!this.#hasHead) {
      if (bytes.toString('utf8', start, end) !== HEAD_LINE)
        throw new KeptDamageError('not the head of such a file')
      this.#hasHead = true
    } else if (this.#publicationsLeft > 0) {
      this.#publicationsLeft--
      if (this.#take !== PASS_OVER) this.#publication(bytes, start, end)
    } else {
      this.#record(parseObject(bytes.toString('utf8', start, end)))
    }
  }

  /** After the last line. */
  end(): void {
    if (!this.#hasHead) throw new KeptDamageError('there is no head')
    if (this.#publicationsLeft > 0)
      throw new KeptDamageError(`${this.#publicationsLeft} publications are missing`)
  }

  #publication(bytes: Buffer, start: number, end: number): void {
    // By hand: the text stays as its publisher wrote it, and a million of them want no parser each.
    const comma = bytes.indexOf(COMMA, start)
    if (bytes[start] !== BRACKET_OPEN || bytes[end - 1] !== BRACKET_CLOSE || comma < 0 || comma >= end)
      throw new KeptDamageError('not a publication')
    const atMs = wholeNumber(bytes, start + 1, comma)
    if (atMs < this.#atMs) throw new KeptDamageError('older than the publication before it')
    this.#atMs = atMs
    const textStart = comma + 1
    const textEnd = end - 1
    if (!this.#take(bytes.toString('utf8', textStart, textEnd), textEnd - textStart, atMs))
      throw new KeptDamageError('not a publication of this channel')
  }

  #record(fields: Record<string, unknown>): void {
    const channel = text(fields, 'channel')
    const epoch = text(fields, 'epoch')
    const offset = integer(fields, 'offset')
    // It is put into replies as it is.
    if (!/^[\w-]{0,64}$/.test(epoch)) throw new KeptDamageError('not an epoch')
    if ('key' in fields) {
      this.#sink.key({ channel, key: text(fields, 'key'), epoch, offset, untilMs: integer(fields, 'until') })
      return
    }
    const publications = integer(fields, 'publications')
    if (epoch === '' || publications > offset) throw new KeptDamageError('a channel that can not be')
    const kept = { name: channel, epoch, offset, usedMs: integer(fields, 'used'), publications }
    this.#take = this.#sink.channel(kept) ?? PASS_OVER
    this.#publicationsLeft = publications
    this.#atMs = Number.NEGATIVE_INFINITY
  }
}

const COMMA = 0x2c
const BRACKET_OPEN = 0x5b
const BRACKET_CLOSE = 0x5d
const ZERO = 0x30
/** Below this any number of so many digits is exact. */
const DIGITS_MAX = 15

function wholeNumber(bytes: Buffer, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - ZERO
    if (digit < 0 || digit > 9) throw new KeptDamageError('not a time')
    value = value * 10 + digit
  }
  if (end === start || end - start > DIGITS_MAX) throw new KeptDamageError('not a time')
  return value
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new KeptDamageError('not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new KeptDamageError('not a record')
  return value as Record<string, unknown>
}

function text(fields: Record<string, unknown>, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw new KeptDamageError(`${name} is not a text`)
  return value
}

function integer(fields: Record<string, unknown>, name: string): number {
  const value = fields[name]
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new KeptDamageError(`${name} is not a whole number`)
  return value as number
}
