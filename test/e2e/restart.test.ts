// Histories outlast a planned restart: real relays, one after the other on the same ports, with the same folder.

import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { runProgram, temporaryFile } from '../support/program.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { connectedClient, nextEvent, PATIENTLY, record, subscribe } from '../support/sdk.ts'

const RECOVERING = { ...OPEN_CHANNELS, history_size: 10_000, history_ttl: '10m', force_recovery: true }
const NAMESPACES = [
  { name: 'kept', ...RECOVERING },
  { name: 'brief', ...RECOVERING, history_ttl: '1s' },
  { name: 'plain', ...OPEN_CHANNELS },
  { name: 'gone', ...RECOVERING },
]

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

type Changes = Readonly<{
  shards?: number
  namespaces?: readonly object[]
  channel?: object
  path?: string
  shutdown?: object
}>

/** Relays with the same ports and the same folder, to be started one after the other; of one shard, unless said. */
async function createPlace() {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-restart-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'histories')
  const [http, internal, tcp] = [await freePort(), await freePort(), await freePort()]
  async function start({ shards = 1, namespaces = NAMESPACES, channel = {}, ...more }: Changes = {}) {
    const relay = await startTestRelay({
      shards,
      http_server: { port: http, internal_port: internal },
      tcp: { port: tcp },
      client: { recovery_max_publication_limit: 100_000 },
      channel: { namespaces, ...channel },
      shutdown: { history_path: more.path ?? path, ...more.shutdown },
    })
    onTestFinished(() => void relay.process.kill('SIGKILL'))
    return relay
  }
  return { path, start, file: (name: string) => join(path, name) }
}

/** Ends in order, with no complaint in the log. */
async function stopInOrder(relay: TestRelay): Promise<void> {
  expect(await relay.stop()).toBe(0)
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
}

async function crash(relay: TestRelay): Promise<void> {
  const exited = once(relay.process, 'exit')
  relay.process.kill('SIGKILL')
  await exited
}

const logged = (relay: TestRelay, msg: string) => relay.log.find(line => line.msg === msg)

async function publish(relay: TestRelay, channel: string, data: unknown, more: object = {}) {
  const { body } = await relay.api('publish', { channel, data, ...more })
  expect(body.error).toBeUndefined()
  return body.result as { epoch: string; offset: number }
}

async function history(relay: TestRelay, channel: string) {
  const { body } = await relay.api('history', { channel, limit: -1 })
  const { epoch, offset, publications } = body.result
  return { epoch, offset, datas: publications.map(({ data }: { data: unknown }) => data) }
}

test.each([
  [2, 2],
  [2, 3],
  [3, 1],
])(
  'under load, from %i shards to %i: what was acknowledged arrives once, in order, recovered',
  async (before, after) => {
    const { start } = await createPlace()
    const channels = Array.from({ length: 6 }, (_, index) => `kept:load${index}`)
    const first = await start({ shards: before })
    const streams = await Promise.all(
      channels.map(async channel => {
        const client = await connectedClient(first.websocketUrl)
        const subscription = await subscribe(client, channel)
        const came = record(subscription, 'publication')
        const again = record(subscription, 'subscribed')
        return { channel, came, again }
      }),
    )
    let isEnding = false
    /** As a back end does that wants each publication in exactly once: it tries again with the same key. */
    async function publishAll(channel: string): Promise<number[]> {
      const acknowledged: number[] = []
      for (let data = 1; !isEnding; data++) {
        for (;;) {
          const request = { channel, data, idempotency_key: `${channel}-${data}` }
          const reply = await first.api('publish', request).catch(() => undefined)
          if (reply?.body.result !== undefined) break
          await new Promise(resolve => setTimeout(resolve, 5))
        }
        acknowledged.push(data)
      }
      return acknowledged
    }
    const publishing = channels.map(publishAll)
    await Promise.all(streams.map(({ came }) => came.until(20)))
    await stopInOrder(first)
    expect(logged(first, 'histories kept')).toMatchObject({ channels: 6 })
    const second = await start({ shards: after })
    expect(logged(second, 'histories taken over')).toMatchObject({ channels: 6 })
    const soFar = streams.map(({ came }) => came.all.length)
    await Promise.all(streams.map(({ came }, index) => came.until(soFar[index]! + 20)))
    isEnding = true
    const acknowledged = await Promise.all(publishing)
    for (const [index, { came, again }] of streams.entries()) {
      const all = acknowledged[index]!
      const arrived = await came.until(all.length)
      expect(arrived.map(({ data }) => data)).toEqual(all)
      expect(arrived.map(({ offset }) => offset)).toEqual(all)
      expect(again.all.length).toBeGreaterThan(0)
      expect(again.all.filter(({ recovered }) => !recovered)).toEqual([])
    }
    await stopInOrder(second)
  },
)

test('positions, histories and keys go on; the files are gone when connections are taken', async () => {
  const { path, start, file } = await createPlace()
  const first = await start({ shards: 2 })
  for (let data = 1; data <= 5; data++) await publish(first, 'kept:a', { data, text: 'ä\u{1f600}\n' })
  const keyed = await publish(first, 'kept:b', 'once', { idempotency_key: 'k1' })
  await publish(first, 'plain:x', 'nothing is kept', { idempotency_key: 'k2' })
  const before = await history(first, 'kept:a')
  await stopInOrder(first)
  expect(readdirSync(path).sort()).toEqual(['complete.json', 'shard-0.history', 'shard-1.history'])
  expect(statSync(path).mode & 0o777).toBe(0o700)
  for (const name of readdirSync(path)) expect(statSync(file(name)).mode & 0o777).toBe(0o600)

  const second = await start({ shards: 2 })
  expect(readdirSync(path)).toEqual(['fanwire.lock'])
  expect(logged(second, 'histories taken over')).toMatchObject({ channels: 2, publications: 6 })
  expect(await history(second, 'kept:a')).toEqual(before)
  expect(await publish(second, 'kept:a', 6)).toEqual({ epoch: before.epoch, offset: 6 })
  expect(await publish(second, 'kept:b', 'once', { idempotency_key: 'k1' })).toEqual(keyed)
  expect((await history(second, 'kept:b')).datas).toEqual(['once'])
  await stopInOrder(second)

  // And once more, with what it took over itself.
  const third = await start()
  expect((await history(third, 'kept:a')).datas).toEqual([...before.datas, 6])
  expect(await publish(third, 'kept:b', 'once', { idempotency_key: 'k1' })).toEqual(keyed)
  await stopInOrder(third)
})

test('a crash after a restart brings nothing old back: new epochs, and clients are told', async () => {
  const { start } = await createPlace()
  const first = await start()
  const { epoch } = await publish(first, 'kept:a', 1)
  await stopInOrder(first)
  const second = await start()
  const client = await connectedClient(second.websocketUrl)
  const subscription = await subscribe(client, 'kept:a')
  expect(await publish(second, 'kept:a', 2)).toEqual({ epoch, offset: 2 })
  const again = nextEvent(subscription, 'subscribed')
  await crash(second)
  const third = await start()
  expect(await again).toMatchObject({ wasRecovering: true, recovered: false })
  expect((await publish(third, 'kept:a', 'new')).epoch).not.toBe(epoch)
  await stopInOrder(third)
})

test('without the marker nothing is taken over, and it is removed', async () => {
  const { path, start, file } = await createPlace()
  const first = await start()
  const { epoch } = await publish(first, 'kept:a', 1)
  await stopInOrder(first)
  rmSync(file('complete.json'))
  writeFileSync(file('shard-7.history.new'), 'half a li')
  writeFileSync(file('of somebody else'), '')
  const second = await start()
  expect(second.log.filter(({ level }) => level === 40)).toMatchObject([
    { msg: 'the last run did not end before its histories were kept: all channels start new' },
  ])
  expect(readdirSync(path).sort()).toEqual(['fanwire.lock', 'of somebody else'])
  expect(await publish(second, 'kept:a', 1)).toMatchObject({ offset: 1 })
  expect((await history(second, 'kept:a')).epoch).not.toBe(epoch)
  await stopInOrder(second)
})

/** Changes a file and, unless the damage is to be seen by them, size and checksum in the marker. */
function damage(path: string, change: (text: string) => string, isHidden: boolean): void {
  const marker = JSON.parse(readFileSync(join(path, 'complete.json'), 'utf8'))
  for (const entry of marker.files) {
    const file = join(path, entry.name)
    const text = readFileSync(file, 'utf8')
    if (!text.includes('"channel":"kept:a"')) continue
    const changed = change(text)
    expect(changed).not.toBe(text)
    writeFileSync(file, changed)
    if (isHidden) Object.assign(entry, { bytes: Buffer.byteLength(changed), crc32: crc32(changed) })
  }
  writeFileSync(join(path, 'complete.json'), JSON.stringify(marker))
}

test.each<[what: string, change: (text: string) => string, isHidden: boolean, reason: RegExp]>([
  ['a changed letter', text => text.replace('first', 'FIRST'), false, /checksum/],
  ['a missing publication', text => text.replace(/^\[.*first.*\n/m, ''), true, /publications are missing/],
])('%s: its channels start new, and the log says where', async (_, change, isHidden, reason) => {
  const { path, start } = await createPlace()
  const first = await start()
  const { epoch } = await publish(first, 'kept:a', 'first')
  await publish(first, 'kept:a', 'second')
  await stopInOrder(first)
  damage(path, change, isHidden)
  const second = await start({ shards: 2 })
  const complaints = second.log.filter(
    ({ msg }) => msg === 'a file of histories is damaged: its channels start new',
  )
  expect(complaints.length).toBeGreaterThan(0)
  for (const { file, line, reason: why } of complaints) {
    expect(file).toBe(join(path, 'shard-0.history'))
    expect(line).toBeGreaterThan(0)
    expect(why).toMatch(reason)
  }
  const started = await publish(second, 'kept:a', 1)
  expect(started.offset).toBe(1)
  expect(started.epoch).not.toBe(epoch)
  expect(await second.stop()).toBe(0)
})

test('a marker that is damaged: all start new', async () => {
  const { start, file } = await createPlace()
  const first = await start()
  await publish(first, 'kept:a', 1)
  await stopInOrder(first)
  writeFileSync(file('complete.json'), '{"version":1,"files":[{"name":"../../shard-0.history"}]}')
  const second = await start()
  expect(logged(second, 'the list of the kept histories is damaged: all channels start new')).toBeDefined()
  expect(await publish(second, 'kept:a', 1)).toMatchObject({ offset: 1 })
  expect(await second.stop()).toBe(0)
})

test('what is too old by the wall clock, or belongs to no history any more, is left', async () => {
  const { start } = await createPlace()
  const first = await start()
  const brief = await publish(first, 'brief:a', 'old')
  const kept = await publish(first, 'kept:a', 1)
  await publish(first, 'gone:a', 1)
  await publish(first, 'kept:b', 1)
  await stopInOrder(first)
  const startedMs = Date.now()
  await expect.poll(() => Date.now() - startedMs, PATIENTLY).toBeGreaterThan(1000)
  const namespaces = [
    { name: 'kept', ...RECOVERING, history_size: 1 },
    { name: 'brief', ...RECOVERING, history_ttl: '1s' },
  ]
  const second = await start({ namespaces })
  expect(logged(second, 'histories taken over')).toMatchObject({ channels: 3, publications: 2 })
  // The position stays, only the publication is gone.
  expect(await history(second, 'brief:a')).toEqual({ ...brief, datas: [] })
  expect(await history(second, 'kept:a')).toEqual({ ...kept, datas: [1] })
  await stopInOrder(second)
})

test('a smaller limit of memory or of channels takes what it can', async () => {
  const { start } = await createPlace()
  const first = await start()
  const text = 'x'.repeat(10_000)
  for (let channel = 0; channel < 130; channel++) await publish(first, `kept:${channel}`, text)
  await stopInOrder(first)
  const second = await start({ channel: { history_memory_limit: 1 << 20 } })
  expect(logged(second, 'histories taken over')).toMatchObject({ channels: 130, publications: 103 })
  expect(await second.metric('fanwire_history_bytes{shard="0"}')).toBeLessThanOrEqual(1 << 20)
  // Those that were quiet longest lost theirs; their positions stay.
  expect(await history(second, 'kept:0')).toMatchObject({ offset: 1, datas: [] })
  expect((await history(second, 'kept:129')).datas).toEqual([text])
  await stopInOrder(second)
})

async function refusal(path: string) {
  const config = {
    shards: 1,
    http_server: { port: 0, internal_port: 0 },
    tcp: { port: 0 },
    client: { allow_anonymous_connect_without_token: true },
    shutdown: { history_path: path },
  }
  return runProgram(['--config', temporaryFile('relay.json', JSON.stringify(config))])
}

test('a folder that can not be written to: exit code 1, and it is named', async () => {
  const file = temporaryFile('a-file', '')
  for (const path of [file, join(file, 'below'), '/proc/fanwire']) {
    const { code, stderr } = await refusal(path)
    expect(code).toBe(1)
    expect(stderr).toContain(`shutdown.history_path ${path}`)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  }
})

test('a second relay with the folder of a running one does not start, and the first keeps what it has', async () => {
  const { path, start } = await createPlace()
  const first = await start()
  const { epoch } = await publish(first, 'kept:a', 1)
  const { code, stderr } = await refusal(path)
  expect(stderr).toContain('another relay uses it')
  expect(code).toBe(1)
  await stopInOrder(first)
  const second = await start()
  expect((await history(second, 'kept:a')).epoch).toBe(epoch)
  await stopInOrder(second)
})

test('a lock that was left behind by a crash is taken', async () => {
  const { start, file } = await createPlace()
  const first = await start()
  await crash(first)
  expect(existsSync(file('fanwire.lock'))).toBe(true)
  await stopInOrder(await start())
})

test('the channels of a shard that was replaced begin their new epoch, and keep it over the restart', async () => {
  const { start } = await createPlace()
  const first = await start()
  const old = await publish(first, 'kept:a', 1)
  await first.quarantine(0)
  const renewed = await publish(first, 'kept:a', 2)
  expect(renewed.epoch).not.toBe(old.epoch)
  expect(await first.stop()).toBe(0)
  const second = await start({ shards: 2 })
  expect(await history(second, 'kept:a')).toEqual({ ...renewed, datas: [2] })
  await stopInOrder(second)
})

test('a stop that is cut off by its time limit keeps nothing', async () => {
  const { start } = await createPlace()
  const first = await start({ shutdown: { termination_timeout: '0s', drain_time: '0s' } })
  const { epoch } = await publish(first, 'kept:a', 1)
  const ended = once(first.process, 'exit')
  await first.stop()
  expect(await ended).toEqual([null, 'SIGKILL'])
  const second = await start()
  expect((await publish(second, 'kept:a', 1)).epoch).not.toBe(epoch)
  await stopInOrder(second)
})

test('a folder that is lost meanwhile does not hold up the end', async () => {
  const { path, start } = await createPlace()
  const first = await start()
  const { epoch } = await publish(first, 'kept:a', 1)
  rmSync(path, { recursive: true })
  expect(await first.stop()).toBe(0)
  expect(logged(first, 'the histories could not be kept: all channels start new')).toBeDefined()
  const second = await start()
  expect((await publish(second, 'kept:a', 1)).epoch).not.toBe(epoch)
  await stopInOrder(second)
})

test('without a folder histories end with the process', async () => {
  const { start } = await createPlace()
  const first = await start({ path: '' })
  const { epoch } = await publish(first, 'kept:a', 1)
  await stopInOrder(first)
  const second = await start({ path: '' })
  expect((await publish(second, 'kept:a', 1)).epoch).not.toBe(epoch)
  await stopInOrder(second)
})
