// The messenger as a thread of a real relay: it comes up with the shards, is replaced when it fails, and ends in order.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { runProgram, temporaryFile } from '../support/program.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { TcpClient } from '../support/tcp-client.ts'

const PATIENTLY = { timeout: 20_000, interval: 10 }
const PASSWORD = 'a password of the tests 7'

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-messenger-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function startRelay(path: string, more: Record<string, any> = {}): Promise<TestRelay> {
  const relay = await startTestRelay({
    ...more,
    messenger: { enabled: true, path, message_rate: 100_000, signups_per_hour: 100 },
  })
  onTestFinished(() => void relay.process.kill('SIGKILL'))
  return relay
}

class Person {
  readonly client: TcpClient
  #id = 0

  private constructor(client: TcpClient) {
    this.client = client
  }

  static async come(relay: TestRelay): Promise<Person> {
    return new Person(await TcpClient.open(relay.ports.tcp))
  }

  ask(command: Record<string, unknown>): Promise<any> {
    this.#id++
    return this.client.call({ id: this.#id, ...command })
  }

  rpc(method: string, data: object = {}): Promise<any> {
    return this.ask({ rpc: { method, data } })
  }

  async enter(nickname: string, method = 'auth.signup'): Promise<any> {
    const answer = await this.rpc(method, { nickname, password: PASSWORD })
    if (answer.error !== undefined) throw new Error(JSON.stringify(answer))
    await this.ask({ connect: {} })
    return answer.rpc.data
  }

  /** Texts of messages that came live. */
  get heard(): string[] {
    return this.client.lines
      .map(line => line.push?.pub?.data)
      .filter(event => event?.type === 'message')
      .map(event => event.message.text)
  }
}

async function allMessages(person: Person): Promise<any[]> {
  const all: any[] = []
  while (true) {
    const page = await person.rpc('message.list', { conversation: 1, after: all.length, limit: 100 })
    if (page.rpc.data.messages.length === 0) return all
    all.push(...page.rpc.data.messages)
  }
}

function quarantineMessenger(relay: TestRelay): Promise<Response> {
  return fetch(`http://127.0.0.1:${relay.ports.internal}/admin/messenger/quarantine`, {
    method: 'POST',
    headers: { 'X-API-Key': 'test-key' },
  })
}

async function replaceMessenger(relay: TestRelay): Promise<void> {
  const replaced = () => relay.log.filter(({ msg }) => msg === 'messenger replaced').length
  const before = replaced()
  expect((await quarantineMessenger(relay)).status).toBe(200)
  await expect.poll(replaced, PATIENTLY).toBe(before + 1)
}

test('a messenger that fails is replaced while the relay serves: what was acknowledged is there once, in order', {
  timeout: 60_000,
}, async () => {
  const relay = await startRelay(temporaryFolder())
  const ann = await Person.come(relay)
  const ben = await Person.come(relay)
  await ann.enter('ann')
  await ben.enter('ben')

  const sent: string[] = []
  const errors: any[] = []
  let isOver = false
  const talk = async () => {
    for (let n = 0; !isOver; n++) {
      const message = { everyone: true, client_id: `m${n}`, text: `text ${n}` }
      let answer = await ann.rpc('message.send', message)
      while (answer.error !== undefined) {
        errors.push(answer.error)
        await new Promise(resolve => setTimeout(resolve, 5))
        answer = await ann.rpc('message.send', message)
      }
      sent.push(message.text)
    }
  }
  const talking = talk()
  for (let round = 0; round < 3; round++) {
    const { length } = sent
    await expect.poll(() => sent.length, PATIENTLY).toBeGreaterThan(length + 5)
    await replaceMessenger(relay)
  }
  const { length } = sent
  await expect.poll(() => sent.length, PATIENTLY).toBeGreaterThan(length + 5)
  isOver = true
  await talking

  // Callers of the lost one were told to come again, and nothing else.
  expect(errors.every(error => error.temporary)).toBe(true)
  expect((await allMessages(ben)).map(({ text }) => text)).toEqual(sent)
  expect(await relay.metric('fanwire_quarantines_total')).toBe(3)
  expect(await relay.metric('fanwire_messenger_replacements_total')).toBe(3)
  expect(ann.client.closed || ben.client.closed).toBe(false)
  expect(await relay.stop()).toBe(0)
})

test('a messenger that can not be started again is tried again, and the relay serves meanwhile', async () => {
  const path = join(temporaryFolder(), 'data')
  const relay = await startRelay(path)
  const readiness = async () => (await fetch(`http://127.0.0.1:${relay.ports.internal}/ready`)).status
  const ann = await Person.come(relay)
  await ann.enter('ann')
  expect(await readiness()).toBe(200)
  renameSync(path, `${path}-away`)
  const { status } = await quarantineMessenger(relay)
  expect(status).toBe(200)
  const failed = () => relay.log.some(({ msg }) => msg === 'the messenger could not be replaced')
  await expect.poll(failed, PATIENTLY).toBe(true)
  expect(await readiness()).toBe(503)
  expect((await quarantineMessenger(relay)).status).toBe(409)
  const refused = await ann.rpc('message.send', { everyone: true, client_id: '1', text: 'hello' })
  expect(refused.error).toEqual({ code: 100, message: 'internal server error', temporary: true })
  // Who comes now can't be let in, and comes again; who is there stays, and the relay's own work goes on.
  const other = await Person.come(relay)
  expect((await other.rpc('auth.login', { nickname: 'ann', password: PASSWORD })).error.temporary).toBe(true)
  expect((await relay.api('publish', { channel: 'im:u:1', data: 'live' })).body.error).toBeUndefined()
  await ann.client.next(({ push }) => push?.pub?.data === 'live')

  renameSync(`${path}-away`, path)
  await expect.poll(readiness, PATIENTLY).toBe(200)
  const answer = await ann.rpc('message.send', { everyone: true, client_id: '1', text: 'hello' })
  expect(answer.rpc.data.message.seq).toBe(1)
  expect(await relay.stop()).toBe(0)
})

test('a shard that takes the place of a lost one reaches the messenger, and is reached by it', async () => {
  const relay = await startRelay(temporaryFolder())
  const ann = await Person.come(relay)
  await ann.enter('ann')
  for (const shard of [0, 1]) await relay.quarantine(shard)
  // One on each shard, some of them twice.
  const people: Person[] = []
  for (let n = 0; n < 8; n++) {
    const person = await Person.come(relay)
    await person.enter('ann', 'auth.login')
    people.push(person)
  }
  const [first, ...others] = people
  const answer = await first!.rpc('message.send', { everyone: true, client_id: '1', text: 'all' })
  expect(answer.rpc.data.message.seq).toBe(1)
  for (const each of people) await expect.poll(() => each.heard, PATIENTLY).toEqual(['all'])
  // Orders go to all shards.
  await first!.rpc('auth.logout_everywhere', { except_current: true })
  await Promise.all(others.map(({ client }) => client.ended))
  expect(others.map(({ client }) => client.lines.at(-1).push.disconnect.code)).toEqual(others.map(() => 4500))
  expect(first!.client.closed).toBe(false)
  expect(await relay.stop()).toBe(0)
})

test('a stop loses nothing that was acknowledged, and the next start goes on with logins and tokens', {
  timeout: 60_000,
}, async () => {
  const path = temporaryFolder()
  const history_path = temporaryFolder()
  const relay = await startRelay(path, { shutdown: { history_path } })
  const ann = await Person.come(relay)
  const { connection } = await ann.enter('ann')
  let id = 1_000
  const exited = once(relay.process, 'exit')
  // Sent without waiting: some are under way when the end comes.
  const sending = setInterval(() => {
    if (ann.client.closed) return clearInterval(sending)
    for (let n = 0; n < 10; n++) {
      id++
      const data = { everyone: true, client_id: `m${id}`, text: `text ${id}` }
      ann.client.send({ id, rpc: { method: 'message.send', data } })
    }
  }, 5)
  onTestFinished(() => clearInterval(sending))
  const acknowledged = () =>
    ann.client.lines.filter(line => line.rpc?.data?.message !== undefined).map(line => line.rpc.data.message)
  await expect.poll(() => acknowledged().length, PATIENTLY).toBeGreaterThan(50)
  relay.process.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])

  const again = await startRelay(path, { shutdown: { history_path } })
  const back = await Person.come(again)
  const { connect } = await back.ask({ connect: { token: connection.token } })
  const stored = await allMessages(back)
  const bySeq = new Map(stored.map(({ seq, client_id }) => [seq, client_id]))
  for (const { seq, client_id } of acknowledged()) expect(bySeq.get(seq)).toBe(client_id)
  // The relay's history has what the archive has: the last effects went out before it was kept.
  expect(connect.subs['im:c:1'].offset).toBe(stored.length)
  expect(await again.stop()).toBe(0)
})

test('one relay at a time has the directory, which only its owner can read', async () => {
  const path = join(temporaryFolder(), 'data')
  const relay = await startRelay(path)
  expect(statSync(path).mode & 0o777).toBe(0o700)
  for (const name of ['token.key', 'fanwire.db']) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600)
  expect(readFileSync(join(path, 'token.key'))).toHaveLength(32)
  const file = temporaryFile(
    'config.json',
    JSON.stringify({
      http_server: { port: 0, internal_port: 0 },
      tcp: { port: 0 },
      messenger: { enabled: true, path },
    }),
  )
  const second = await runProgram(['--config', file])
  expect(second).toMatchObject({
    code: 1,
    stderr: `fanwire: messenger.path ${path}: another relay uses it\n`,
  })
  expect(await relay.stop()).toBe(0)
})

test('it starts without a warning of Node, and a relay without it touches no directory', async () => {
  const folder = temporaryFolder()
  for (const enabled of [true, false]) {
    const path = join(folder, String(enabled))
    const argv = ['--http_server.port=0', '--http_server.internal_port=0', '--tcp.port=0', '--shards=1']
    const child = spawn(
      process.execPath,
      [
        fileURLToPath(new URL('../../src/start.mjs', import.meta.url)),
        ...argv,
        `--messenger.enabled=${enabled}`,
        `--messenger.path=${path}`,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    let stderr = ''
    child.stderr.on('data', text => {
      stderr += text
    })
    for await (const line of createInterface({ input: child.stdout })) {
      if (JSON.parse(line).msg === 'relay is ready') child.kill('SIGTERM')
    }
    await once(child, 'exit')
    expect(stderr).toBe('')
    expect(existsSync(path)).toBe(enabled)
  }
})
