// One large file up and down at a real relay, and how much memory that takes: `node test/stress/large-file.ts --mebibytes 1024`.
// A short form runs with the tests.

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

const MEBIBYTE = 1_024 * 1_024
const PASSWORD = 'a password of the tests 7'
const SAMPLE_MS = 50

export type LargeFileResult = Readonly<{
  mebibytes: number
  /** Of the process' resident memory, over what it was when it had moved a small file. */
  growthMebibytesUp: number
  growthMebibytesDown: number
  secondsUp: number
  secondsDown: number
  isSame: boolean
}>

export async function moveLargeFile(mebibytes: number): Promise<LargeFileResult> {
  const path = mkdtempSync(join(tmpdir(), 'fanwire-large-'))
  const relay = await startTestRelay({ messenger: { enabled: true, path } })
  try {
    const mover = await Mover.signUp(relay)
    // What is loaded and made with the first file is no growth by size.
    for (let round = 0; round < 3; round++) await mover.down((await mover.up(16)).id)
    const before = residentBytesOf(relay)
    const grown = (peak: number) => Math.round((peak - before) / MEBIBYTE)
    const up = await watched(relay, () => mover.up(mebibytes))
    const down = await watched(relay, () => mover.down(up.result.id))
    return {
      mebibytes,
      growthMebibytesUp: grown(up.peakBytes),
      growthMebibytesDown: grown(down.peakBytes),
      secondsUp: up.seconds,
      secondsDown: down.seconds,
      isSame: up.result.hash === down.result,
    }
  } finally {
    await relay.stop()
    rmSync(path, { recursive: true, force: true })
  }
}

class Mover {
  readonly #url: string
  readonly #headers: Record<string, string>

  private constructor(url: string, token: string) {
    this.#url = url
    this.#headers = { authorization: `Bearer ${token}` }
  }

  static async signUp(relay: TestRelay): Promise<Mover> {
    const url = `http://127.0.0.1:${relay.ports.http}/messenger`
    const response = await fetch(`${url}/rpc/auth.signup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ nickname: 'ada', password: PASSWORD }),
    })
    const { session } = (await response.json()) as { session: { token: string } }
    return new Mover(url, session.token)
  }

  async up(mebibytes: number): Promise<{ id: string; hash: string }> {
    const tus = { ...this.#headers, 'tus-resumable': '1.0.0' }
    const created = await fetch(`${this.#url}/uploads/`, {
      method: 'POST',
      headers: { ...tus, 'upload-length': String(mebibytes * MEBIBYTE) },
    })
    const location = created.headers.get('location')!
    const hash = createHash('sha256')
    const sent = await fetch(new URL(location, this.#url), {
      method: 'PATCH',
      headers: { ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
      body: contentOf(mebibytes, bytes => hash.update(bytes)),
      duplex: 'half',
    } as RequestInit)
    if (sent.status !== 204) throw new Error(`${sent.status} ${await sent.text()}`)
    return { id: location.split('/').at(-1)!, hash: hash.digest('hex') }
  }

  async down(id: string): Promise<string> {
    const response = await fetch(`${this.#url}/files/${id}`, { headers: this.#headers })
    const hash = createHash('sha256')
    for await (const chunk of response.body!) hash.update(chunk)
    return hash.digest('hex')
  }
}

/** Random bytes, with a number in each mebibyte, so that none is like another. */
function contentOf(mebibytes: number, onChunk: (bytes: Uint8Array) => void): ReadableStream<Uint8Array> {
  const random = randomBytes(MEBIBYTE)
  let made = 0
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (made === mebibytes) return controller.close()
        const bytes = Buffer.from(random)
        bytes.writeUInt32BE(made++, 0)
        onChunk(bytes)
        controller.enqueue(bytes)
      },
    },
    { highWaterMark: 0 },
  )
}

async function watched<T>(relay: TestRelay, work: () => Promise<T>) {
  const begin = performance.now()
  let peakBytes = 0
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      peakBytes = Math.max(peakBytes, residentBytesOf(relay))
      await sleep(SAMPLE_MS)
    }
  })()
  try {
    const result = await work()
    return { result, peakBytes, seconds: Math.round((performance.now() - begin) / 100) / 10 }
  } finally {
    isOver = true
    await watching
  }
}

function residentBytesOf(relay: TestRelay): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${relay.process.pid}/status`, 'utf8'))!
  return Number(kib) * 1_024
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { mebibytes: { type: 'string', default: '1024' } } })
  process.stdout.write(`${JSON.stringify(await moveLargeFile(Number(values.mebibytes)))}\n`)
}
