// A relay with faults: a proxy in front of a real one that drops, swaps or repeats publications, or holds everything up.
// It runs in the test's process. Invariant: whatever the fault is not about passes on as it came, byte for byte, and
// `counts` say exactly what was done.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export type Fault =
  | Readonly<{ kind: 'none' }>
  /** Every so many publications, over all subscriptions. A swap is with the next of the same subscription. */
  | Readonly<{ kind: 'drop' | 'swap' | 'repeat'; every: number }>
  /** Nothing goes in or out of any connection for so long. */
  | Readonly<{ kind: 'stall'; every: number; ms: number }>

export type Counts = {
  /** Publications that the relay delivered. */
  publications: number
  dropped: number
  swapped: number
  repeated: number
  stalls: number
}

export type FaultyRelay = Readonly<{
  ports: Readonly<{ http: number; tcp: number }>
  counts: Readonly<Counts>
  /** `connection channel` → what was done to it. */
  perSubscription: ReadonlyMap<string, Readonly<Counts>>
  close: () => void
}>

/** What is held back for a swap goes out as it is when nothing follows it. */
const SWAP_WAIT_MS = 500

export async function startFaultyRelay(
  relay: { ports: Readonly<{ http: number; tcp: number }> },
  fault: Fault,
): Promise<FaultyRelay> {
  const meddler = new Meddler(fault)
  const [http, tcp] = [
    createServer(near => meddler.join(near, relay.ports.http, new FrameCutter())),
    createServer(near => meddler.join(near, relay.ports.tcp, new LineCutter())),
  ]
  await Promise.all([listen(http), listen(tcp)])
  return {
    ports: { http: portOf(http), tcp: portOf(tcp) },
    counts: meddler.counts,
    perSubscription: meddler.perSubscription,
    close() {
      http.close()
      tcp.close()
      meddler.close()
    },
  }
}

type Cutter = {
  cut: (chunk: Buffer, map: (lines: Buffer[]) => Buffer[]) => Buffer[]
  join: (lines: Buffer[]) => Buffer
}
type Connection = {
  readonly number: number
  readonly near: Socket
  readonly far: Socket
  readonly cutter: Cutter
  /** Channel → publication that waits for the next, to be swapped with it. */
  readonly swapping: Map<string, Buffer>
  /** What came out of a chunk while everything is held up. */
  stalled: Buffer[]
}

class Meddler {
  readonly counts = noCounts()
  readonly perSubscription = new Map<string, Counts>()
  readonly #fault: Fault
  readonly #connections = new Set<Connection>()
  #joined = 0
  #isStalled = false
  #afterStall: (() => void)[] = []

  constructor(fault: Fault) {
    this.#fault = fault
  }

  join(near: Socket, toPort: number, cutter: Cutter): void {
    const far = connect(toPort, '127.0.0.1')
    const connection = { number: ++this.#joined, near, far, cutter, swapping: new Map(), stalled: [] }
    this.#connections.add(connection)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.setNoDelay(true)
      one.on('error', () => {})
      one.on('close', () => {
        // What was said last still goes out, after the stall if there is one.
        if (this.#isStalled) this.#afterStall.push(() => this.#part(connection))
        else this.#part(connection)
      })
      one.on('drain', () => {
        if (!this.#isStalled) other.resume()
      })
    }
    near.on('data', chunk => {
      if (!far.write(chunk)) near.pause()
    })
    far.on('data', chunk =>
      this.#out(
        connection,
        cutter.cut(chunk, lines => this.#meddle(connection, lines)),
      ),
    )
    if (this.#isStalled) pauseBoth(connection)
  }

  close(): void {
    for (const { near, far } of this.#connections) {
      near.destroy()
      far.destroy()
    }
  }

  #part(connection: Connection): void {
    this.#connections.delete(connection)
    connection.near.destroySoon()
    connection.far.destroySoon()
  }

  #out(connection: Connection, pieces: readonly Buffer[]): void {
    if (this.#isStalled) {
      connection.stalled.push(...pieces)
      return
    }
    connection.near.cork()
    let isTaken = true
    for (const piece of pieces) isTaken = connection.near.write(piece)
    connection.near.uncork()
    if (!isTaken) connection.far.pause()
  }

  #meddle(connection: Connection, lines: Buffer[]): Buffer[] {
    const out: Buffer[] = []
    for (const line of lines) {
      const channel = channelOf(line)
      if (channel === undefined) out.push(line)
      else out.push(...this.#publication(connection, channel, line))
    }
    return out
  }

  #publication(connection: Connection, channel: string, line: Buffer): Buffer[] {
    this.#count(connection, channel, 'publications')
    const before = connection.swapping.get(channel)
    if (before !== undefined) {
      connection.swapping.delete(channel)
      this.#count(connection, channel, 'swapped')
      return [line, before]
    }
    if (this.#fault.kind === 'none' || this.counts.publications % this.#fault.every !== 0) return [line]
    switch (this.#fault.kind) {
      case 'drop':
        this.#count(connection, channel, 'dropped')
        return []
      case 'repeat':
        this.#count(connection, channel, 'repeated')
        return [line, line]
      case 'swap':
        this.#holdForSwap(connection, channel, line)
        return []
      case 'stall':
        this.#count(connection, channel, 'stalls')
        if (!this.#isStalled) this.#stall(this.#fault.ms)
        return [line]
      default:
        return this.#fault satisfies never
    }
  }

  #holdForSwap(connection: Connection, channel: string, line: Buffer): void {
    // The chunk that it came in may be gone by the time.
    const held = Buffer.from(line)
    connection.swapping.set(channel, held)
    setTimeout(() => {
      if (connection.swapping.get(channel) !== held) return
      connection.swapping.delete(channel)
      this.#out(connection, [connection.cutter.join([held])])
    }, SWAP_WAIT_MS).unref()
  }

  #stall(ms: number): void {
    this.#isStalled = true
    for (const connection of this.#connections) pauseBoth(connection)
    const endMs = performance.now() + ms
    const go = () => {
      // Timers may fire early, by less than a millisecond.
      const leftMs = endMs - performance.now()
      if (leftMs > 0) return void setTimeout(go, leftMs)
      this.#isStalled = false
      for (const connection of this.#connections) {
        this.#out(connection, connection.stalled.splice(0))
        connection.near.resume()
        connection.far.resume()
      }
      for (const act of this.#afterStall.splice(0)) act()
    }
    go()
  }

  #count({ number }: Connection, channel: string, key: keyof Counts): void {
    const name = `${number} ${channel}`
    let counts = this.perSubscription.get(name)
    if (counts === undefined) {
      counts = noCounts()
      this.perSubscription.set(name, counts)
    }
    counts[key]++
    this.counts[key]++
  }
}

function pauseBoth({ near, far }: Connection): void {
  near.pause()
  far.pause()
}

function noCounts(): Counts {
  return { publications: 0, dropped: 0, swapped: 0, repeated: 0, stalls: 0 }
}

const PUSH = '{"push":{"channel":"'
const PUBLICATION = '","pub":{'
/** Longer names of channels are none of a test's. */
const CHANNEL_CHARACTERS_MAX = 200

/** The channel of a publication; undefined: it is something else. */
function channelOf(line: Buffer): string | undefined {
  const head = line.toString('latin1', 0, Math.min(line.length, CHANNEL_CHARACTERS_MAX))
  if (!head.startsWith(PUSH)) return undefined
  const end = head.indexOf('"', PUSH.length)
  return end > 0 && head.startsWith(PUBLICATION, end) ? head.slice(PUSH.length, end) : undefined
}

const LINE_BREAK = 0x0a

/** TCP: lines, each ended by a line break. */
class LineCutter {
  #rest: Buffer = Buffer.alloc(0)

  cut(chunk: Buffer, map: (lines: Buffer[]) => Buffer[]): Buffer[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const end = bytes.lastIndexOf(LINE_BREAK)
    this.#rest = bytes.subarray(end + 1)
    if (end < 0) return []
    const lines = map(linesOf(bytes.subarray(0, end)))
    return lines.length === 0 ? [] : [this.join(lines)]
  }

  join(lines: readonly Buffer[]): Buffer {
    return Buffer.concat([joined(lines), BREAK])
  }
}

/** WebSocket: the answer to the upgrade, then frames; text frames are lines. Other HTTP answers pass on. */
class FrameCutter {
  #rest: Buffer = Buffer.alloc(0)
  #state: 'head' | 'frames' | 'other' = 'head'

  cut(chunk: Buffer, map: (lines: Buffer[]) => Buffer[]): Buffer[] {
    if (this.#state === 'other') return [chunk]
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const out: Buffer[] = []
    if (this.#state === 'head') {
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) {
        this.#rest = bytes
        return []
      }
      this.#state = bytes.toString('latin1', 0, 12) === 'HTTP/1.1 101' ? 'frames' : 'other'
      if (this.#state === 'other') return [bytes]
      out.push(bytes.subarray(0, end + 4))
      bytes = bytes.subarray(end + 4)
    }
    let at = 0
    for (;;) {
      const frame = frameAt(bytes, at)
      if (frame === undefined) break
      if (frame.isWholeText) out.push(...this.#text(bytes.subarray(at, frame.to), frame.from - at, map))
      else out.push(bytes.subarray(at, frame.to))
      at = frame.to
    }
    this.#rest = bytes.subarray(at)
    return out
  }

  join(lines: readonly Buffer[]): Buffer {
    const payload = joined(lines)
    const short = payload.length < 126
    const header = Buffer.alloc(short ? 2 : payload.length < 65_536 ? 4 : 10)
    header[0] = WHOLE_TEXT
    if (short) header[1] = payload.length
    else if (header.length === 4) {
      header[1] = 126
      header.writeUInt16BE(payload.length, 2)
    } else {
      header[1] = 127
      header.writeBigUInt64BE(BigInt(payload.length), 2)
    }
    return Buffer.concat([header, payload])
  }

  #text(frame: Buffer, headerBytes: number, map: (lines: Buffer[]) => Buffer[]): Buffer[] {
    const before = linesOf(frame.subarray(headerBytes))
    const after = map(before)
    if (after.length === before.length && after.every((line, i) => line === before[i])) return [frame]
    return after.length === 0 ? [] : [this.join(after)]
  }
}

/** FIN and opcode 1. */
const WHOLE_TEXT = 0x81

/** Where the frame's payload begins and where it ends; undefined while not all of it is there. */
function frameAt(bytes: Buffer, at: number): { from: number; to: number; isWholeText: boolean } | undefined {
  if (bytes.length - at < 2) return undefined
  const short = bytes[at + 1]! & 0x7f
  const from = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
  if (bytes.length < from) return undefined
  const size =
    short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
  const to = from + size
  return bytes.length < to ? undefined : { from, to, isWholeText: bytes[at] === WHOLE_TEXT }
}

const BREAK = Buffer.from('\n')

function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let from = 0
  for (;;) {
    const to = bytes.indexOf(LINE_BREAK, from)
    if (to < 0) break
    lines.push(bytes.subarray(from, to))
    from = to + 1
  }
  lines.push(bytes.subarray(from))
  return lines
}

function joined(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [BREAK, line])))
}

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
