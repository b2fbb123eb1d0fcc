// Kills a relay with a messenger again and again in the midst of its work, starts it anew with the same data, and in the
// end holds against what it acknowledged: every message is there once, in order, and search and attachments agree.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom } from '../../load/random.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { type Acknowledged, type Attachment, KillSender } from './kill-sender.ts'
import { Observer } from './observer.ts'

export type KillsOptions = Readonly<{
  seed: number
  kills: number
  shards: number
  senders: number
  /** A kill comes so long after the relay is ready, by chance between none and this. */
  lifeMsMax: number
  report: (line: string) => void
}>

export type KillsResult = Readonly<{ violations: readonly string[]; summary: Record<string, number> }>

export async function runKills(options: KillsOptions): Promise<KillsResult> {
  const path = mkdtempSync(join(tmpdir(), 'fanwire-kills-'))
  try {
    return await run(options, path)
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

async function run(
  { seed, kills, shards, senders, lifeMsMax, report }: KillsOptions,
  path: string,
): Promise<KillsResult> {
  const random = createRandom(seed)
  let relay = await start(path, shards, { http: 0, tcp: 0, internal: 0 })
  const { ports } = relay
  const violations: string[] = []
  const flock: KillSender[] = []
  for (let index = 0; index < senders; index++) {
    flock.push(await KillSender.signUp({ ports, name: `sender${index}`, random }))
  }
  const [first] = flock
  const users = flock.map(({ user }) => user)
  const created = await first!.http('conversation.create_group', {
    name: 'the group',
    members: users.slice(1),
  })
  const targets = [1, created.conversation.id as number]
  for (const user of users.slice(1)) {
    targets.push((await first!.http('conversation.direct', { user })).conversation.id as number)
  }
  const observer = new Observer(first!, targets)
  for (const [index, sender] of flock.entries()) {
    // Everyone, the group, and the direct conversation with the first: all can write there.
    sender.begin(index === 0 ? targets : [targets[0]!, targets[1]!, targets[1 + index]!])
  }
  observer.begin()
  for (let kill = 1; kill <= kills; kill++) {
    await new Promise(resolve => setTimeout(resolve, random() * lifeMsMax))
    const exited = once(relay.process, 'exit')
    relay.process.kill('SIGKILL')
    await exited
    relay = await start(path, shards, ports)
    const complaints = relay.log.filter(({ level }) => level >= 50)
    if (complaints.length > 0) violations.push(`after kill ${kill}: ${JSON.stringify(complaints[0])}`)
    if (kill % 10 === 0)
      report(`${kill} kills, ${sum(flock, sender => sender.acknowledged.length)} acknowledged`)
  }
  for (const sender of flock) await sender.finish()
  const known = await observer.finish()
  const stored = await readAll(first!, targets)
  const acknowledged = flock.flatMap(sender => sender.acknowledged)
  violations.push(...compare({ flock, acknowledged, stored, known }))
  violations.push(...(await compareSearch(first!, acknowledged, random)))
  const attachments = flock.flatMap(sender => sender.attachments)
  violations.push(...(await compareAttachments(first!, attachments)))
  if ((await relay.stop()) !== 0) violations.push('the last stop was not in order')
  violations.push(...(await checkData(path)))
  const summary = {
    kills,
    acknowledged: acknowledged.length,
    stored: [...stored.values()].reduce((total, list) => total + list.length, 0),
    repeated: sum(flock, sender => sender.repeated),
    attachments: attachments.length,
    filledGaps: observer.filledGaps,
  }
  return { violations, summary }
}

function start(path: string, shards: number, ports: TestRelay['ports']): Promise<TestRelay> {
  return startTestRelay({
    shards,
    http_server: { port: ports.http, internal_port: ports.internal },
    tcp: { port: ports.tcp },
    client: { allow_anonymous_connect_without_token: false },
    messenger: { enabled: true, path, signups_per_hour: 1_000, message_rate: 1_000_000 },
  })
}

type Stored = Readonly<{ seq: number; author: number; client_id: string; text: string }>

async function readAll(reader: KillSender, conversations: readonly number[]): Promise<Map<number, Stored[]>> {
  const stored = new Map<number, Stored[]>()
  for (const conversation of conversations) {
    const messages: Stored[] = []
    for (;;) {
      const page = await reader.http('message.list', {
        conversation,
        after: messages.at(-1)?.seq ?? 0,
        limit: 200,
      })
      messages.push(...page.messages)
      if (page.messages.length === 0) break
    }
    stored.set(conversation, messages)
  }
  return stored
}

function compare(found: {
  flock: readonly KillSender[]
  acknowledged: readonly Acknowledged[]
  stored: ReadonlyMap<number, readonly Stored[]>
  known: ReadonlyMap<number, ReadonlyMap<number, string>>
}): string[] {
  const violations: string[] = []
  const sent = new Map(found.flock.flatMap(sender => [...sender.sent]))
  for (const [conversation, messages] of found.stored) {
    const ids = new Set<string>()
    for (const [index, { seq, author, client_id, text }] of messages.entries()) {
      const where = `conversation ${conversation}, seq ${seq}`
      if (seq !== index + 1) violations.push(`${where}: place ${index + 1} of the archive`)
      if (ids.has(`${author} ${client_id}`)) violations.push(`${where}: ${client_id} is there twice`)
      ids.add(`${author} ${client_id}`)
      if (sent.get(client_id) !== text) violations.push(`${where}: nobody sent ${JSON.stringify(text)}`)
      if (found.known.get(conversation)?.get(seq) !== text)
        violations.push(`${where}: the observer missed it`)
    }
  }
  for (const { conversation, seq, clientId, text } of found.acknowledged) {
    const message = found.stored.get(conversation)?.[seq - 1]
    if (message?.client_id !== clientId || message.text !== text) {
      violations.push(
        `conversation ${conversation}, seq ${seq}: ${clientId} was acknowledged and is not there`,
      )
    }
  }
  for (const { name, acknowledged } of found.flock) {
    const last = new Map<number, number>()
    for (const { conversation, seq, order } of [...acknowledged].sort((a, b) => a.order - b.order)) {
      if (seq < (last.get(conversation) ?? 0))
        violations.push(`${name}: message ${order} is before its forerunner`)
      last.set(conversation, seq)
    }
  }
  return violations
}

const SEARCHES = 100

async function compareSearch(
  reader: KillSender,
  acknowledged: readonly Acknowledged[],
  random: () => number,
): Promise<string[]> {
  const violations: string[] = []
  for (let search = 0; search < Math.min(SEARCHES, acknowledged.length); search++) {
    const { conversation, seq, text } = acknowledged[Math.floor(random() * acknowledged.length)]!
    const [word] = text.split(' ')
    const { hits } = await reader.http('search.messages', { query: word, limit: 10 })
    const found = hits.map((hit: any) => [hit.conversation, hit.seq])
    if (JSON.stringify(found) !== JSON.stringify([[conversation, seq]])) {
      violations.push(`search for ${word}: ${JSON.stringify(found)} and not ${conversation}, ${seq}`)
    }
  }
  return violations
}

async function compareAttachments(reader: KillSender, attachments: readonly Attachment[]): Promise<string[]> {
  const violations: string[] = []
  for (const { file, sha256 } of attachments) {
    const bytes = await reader.download(file)
    const found = bytes === undefined ? 'nothing' : createHash('sha256').update(bytes).digest('hex')
    if (found !== sha256) violations.push(`attachment ${file}: ${found} and not ${sha256}`)
  }
  return violations
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

function checkData(path: string): Promise<string[]> {
  return new Promise(resolve => {
    execFile(process.execPath, [MAIN, 'check-data', path], (error, stdout, stderr) => {
      resolve(error === null ? [] : [`check-data: ${stdout} ${stderr}`])
    })
  })
}

function sum<T>(list: readonly T[], read: (one: T) => number): number {
  return list.reduce((total, one) => total + read(one), 0)
}
