// Writes a Response of the web platform to a connection, no faster than its client reads. Runs on a shard.
// Invariants: one chunk waits in memory at most; a response that was aborted or is complete is not touched.

import type { HttpResponse } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'

/** The parts in which a body without a length is handed over: the library copies what the socket doesn't take. */
const PART_BYTES_MAX = 64 * 1024

/** The library writes these itself. */
const LIBRARY_HEADERS = new Set(['connection', 'content-length', 'date', 'keep-alive', 'transfer-encoding'])
/** Statuses that never have a body (RFC 9110, 6.4.1). */
const BODILESS = new Set([204, 205, 304])

export type Connection = Readonly<{
  response: HttpResponse
  isHead: boolean
  /** Aborted with the connection. */
  signal: AbortSignal
  /** Before the first byte: from here on there is no other answer. */
  onHead: () => void
}>

type Reader = ReadableStreamDefaultReader<Uint8Array>

/** Rejects when the body fails or is not as long as was said; the answer is then not complete. */
export async function writeResponse(connection: Connection, answer: Response): Promise<void> {
  const length = lengthOf(answer)
  const isBodiless = connection.isHead || BODILESS.has(answer.status)
  if (answer.body === null || isBodiless || length === 0) {
    await answer.body?.cancel()
    writeWithoutBody(connection, answer, isBodiless, length)
    return
  }
  const { signal } = connection
  const reader: Reader = answer.body.getReader()
  // Where it was read to its end, this does nothing.
  const cancel = () => void reader.cancel(signal.reason).catch(() => {})
  signal.addEventListener('abort', cancel, { once: true })
  try {
    if (length === undefined) await writeParts(connection, answer, reader)
    else await writeLength(connection, answer, reader, length)
  } finally {
    signal.removeEventListener('abort', cancel)
    cancel()
  }
}

/** Undefined: the end of the stream will tell. */
function lengthOf(answer: Response): number | undefined {
  const header = answer.headers.get('content-length')
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}

function writeHead({ response, onHead }: Connection, answer: Response): void {
  onHead()
  response.writeStatus(`${answer.status} ${STATUS_CODES[answer.status] ?? 'Unknown'}`)
  for (const [name, value] of answer.headers) {
    if (!LIBRARY_HEADERS.has(name)) response.writeHeader(name, value)
  }
}

function writeWithoutBody(
  connection: Connection,
  answer: Response,
  isBodiless: boolean,
  length: number | undefined,
): void {
  const { response, isHead, signal } = connection
  if (signal.aborted) return
  response.cork(() => {
    writeHead(connection, answer)
    if (!isBodiless) response.end('')
    else if (isHead && length !== undefined) response.endWithoutBody(length)
    else response.endWithoutBody()
  })
}

/** With a length the library takes what the socket takes and says how much that was: nothing is copied. */
async function writeLength(
  connection: Connection,
  answer: Response,
  reader: Reader,
  length: number,
): Promise<void> {
  const { response, signal } = connection
  const gate = new Gate(connection)
  let written = 0
  while (written < length) {
    const { done, value } = await reader.read()
    if (signal.aborted) return
    if (done) throw new Error(`the body has ${written} bytes and not ${length}`)
    const start = written
    written += value.byteLength
    if (written > length) throw new Error(`the body has more than ${length} bytes`)
    const write = (from: number) => tryWrite(response, value.subarray(from), length)
    if (start === 0) {
      let isTaken = false
      response.cork(() => {
        writeHead(connection, answer)
        isTaken = response.tryEnd(value, length)[0]
      })
      if (isTaken) continue
    } else if (write(0)) continue
    await gate.passed(offset => write(offset - start))
    if (signal.aborted) return
  }
  // The source learns that all was taken; a failure of it now changes nothing for the client.
  await reader.read().catch(() => {})
}

function tryWrite(response: HttpResponse, bytes: Uint8Array, length: number): boolean {
  let isTaken = false
  response.cork(() => {
    isTaken = response.tryEnd(bytes, length)[0]
  })
  return isTaken
}

async function writeParts(connection: Connection, answer: Response, reader: Reader): Promise<void> {
  const { response, signal } = connection
  const gate = new Gate(connection)
  let isBegun = false
  for (;;) {
    const { done, value } = await reader.read()
    if (signal.aborted) return
    if (done) break
    for (let at = 0; at < value.byteLength; at += PART_BYTES_MAX) {
      let isTaken = false
      response.cork(() => {
        if (!isBegun) writeHead(connection, answer)
        isTaken = response.write(value.subarray(at, at + PART_BYTES_MAX))
      })
      isBegun = true
      if (isTaken) continue
      await gate.passed(() => true)
      if (signal.aborted) return
    }
  }
  response.cork(() => {
    if (!isBegun) writeHead(connection, answer)
    response.end()
  })
}

type Write = (offset: number) => boolean

/** What waits for the socket to take bytes again. One for a response: the library keeps the first callback it gets. */
class Gate {
  #write: Write | undefined
  #open: (() => void) | undefined

  constructor({ response, signal }: Connection) {
    response.onWritable(offset => this.#onWritable(offset))
    signal.addEventListener('abort', () => this.#open?.(), { once: true })
  }

  /** Resolves when `write`, which is asked as often as the socket takes bytes again, has had success; or with the abort. */
  passed(write: Write): Promise<void> {
    this.#write = write
    return new Promise(resolve => {
      this.#open = resolve
    })
  }

  #onWritable(offset: number): boolean {
    // The library goes on asking when nothing waits.
    if (this.#write === undefined) return true
    if (!this.#write(offset)) return false
    this.#write = undefined
    this.#open?.()
    return true
  }
}
