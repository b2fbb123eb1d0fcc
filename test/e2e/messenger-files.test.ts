// Files at a real relay: large ones up and down over several shards, whatever happens to connections and to the messenger,
// with bounded memory.

import { createHash, randomBytes, randomInt } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Upload } from 'tus-js-client'
import { expect, onTestFinished, test } from 'vitest'
import { moveLargeFile } from '../stress/large-file.ts'
import { layCable } from '../support/cable.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

const MEBIBYTE = 1_024 * 1_024
const PASSWORD = 'a password of the tests 7'

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-files-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function startRelay(path: string): Promise<TestRelay> {
  const relay = await startTestRelay({ messenger: { enabled: true, path, signups_per_hour: 100 } })
  onTestFinished(() => void relay.process.kill('SIGKILL'))
  return relay
}

const urlOf = (relay: TestRelay, path: string) => `http://127.0.0.1:${relay.ports.http}/messenger${path}`

async function rpc(relay: TestRelay, token: string, method: string, data: object): Promise<any> {
  const response = await fetch(urlOf(relay, `/rpc/${method}`), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token !== '' && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(data),
  })
  const answer = (await response.json()) as any
  if (!response.ok) throw new Error(JSON.stringify(answer))
  return answer
}

async function signUp(relay: TestRelay, nickname: string): Promise<string> {
  return (await rpc(relay, '', 'auth.signup', { nickname, password: PASSWORD })).session.token
}

type Sending = Readonly<{ upload: Upload; done: Promise<string> }>

/** `done`: the id of the file. */
function send(bytes: Buffer, port: number, token: string, onProgress = (_sent: number) => {}): Sending {
  let upload!: Upload
  const done = new Promise<string>((resolve, reject) => {
    upload = new Upload(bytes, {
      endpoint: `http://127.0.0.1:${port}/messenger/uploads/`,
      retryDelays: Array.from({ length: 60 }, () => 50),
      // The client counts what it has handed to its socket: with larger pieces all of it, at once.
      chunkSize: 2 * MEBIBYTE,
      metadata: { filename: 'large.bin' },
      headers: { authorization: `Bearer ${token}` },
      onProgress,
      onSuccess: () => resolve(upload.url!.split('/').at(-1)!),
      onError: reject,
    })
  })
  upload.start()
  return { upload, done }
}

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function download(relay: TestRelay, token: string, id: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(urlOf(relay, `/files/${id}`), { headers })
  const hash = createHash('sha256')
  for await (const chunk of response.body!) hash.update(chunk)
  return hash.digest('hex')
}

test('an upload that is cut at random goes on at another shard, to the same hash', async () => {
  const relay = await startRelay(temporaryFolder())
  const token = await signUp(relay, 'ada')
  const cable = await layCable(relay.ports.http)
  onTestFinished(() => cable.close())
  const bytes = randomBytes(20 * MEBIBYTE + 1)
  const cuts = Array.from({ length: 4 }, () => randomInt(bytes.length - 3 * MEBIBYTE)).sort((a, b) => a - b)
  let times = 0
  const { done } = send(bytes, cable.port, token, sent => {
    if (cuts[0] === undefined || sent < cuts[0]) return
    while (cuts[0] !== undefined && sent >= cuts[0]) cuts.shift()
    times += 1
    cable.cut()
    setTimeout(cable.mend, 20)
  })
  const id = await done
  expect(times).toBeGreaterThan(0)
  expect(cuts).toEqual([])
  expect(await download(relay, token, id)).toBe(hashOf(bytes))
  expect((await rpc(relay, token, 'file.get', { id })).file).toMatchObject({
    sha256: hashOf(bytes),
    size: bytes.length,
    name: 'large.bin',
  })
  expect(await relay.stop()).toBe(0)
})

test('an upload goes on after the relay was killed, and what was complete is there', async () => {
  const path = temporaryFolder()
  const first = await startRelay(path)
  const token = await signUp(first, 'ada')
  const whole = randomBytes(MEBIBYTE)
  const kept = await send(whole, first.ports.http, token).done
  const bytes = randomBytes(30 * MEBIBYTE)
  let isKilled = false
  const { upload, done } = send(bytes, first.ports.http, token, sent => {
    if (sent < bytes.length / 3 || isKilled) return
    isKilled = true
    first.process.kill('SIGKILL')
  })
  done.catch(() => {})
  await new Promise(resolve => first.process.once('exit', resolve))
  await upload.abort()
  const second = await startRelay(path)
  const at = new URL(upload.url!).pathname
  const resumed = await new Promise<string>((resolve, reject) => {
    const again = new Upload(bytes, {
      endpoint: urlOf(second, '/uploads/'),
      uploadUrl: `http://127.0.0.1:${second.ports.http}${at}`,
      headers: { authorization: `Bearer ${token}` },
      onSuccess: () => resolve(again.url!.split('/').at(-1)!),
      onError: reject,
    })
    again.start()
  })
  expect(await download(second, token, resumed)).toBe(hashOf(bytes))
  expect(await download(second, token, kept)).toBe(hashOf(whole))
  expect(readdirSync(join(path, 'uploads'))).toEqual([])
  expect(await second.stop()).toBe(0)
})

test('a large file up and down leaves the memory of the relay nearly as it was', async () => {
  const { isSame, growthMebibytesUp, growthMebibytesDown } = await moveLargeFile(200)
  expect(isSame).toBe(true)
  // Were it held in memory, it would be four times as much.
  expect(Math.max(growthMebibytesUp, growthMebibytesDown)).toBeLessThan(50)
})
