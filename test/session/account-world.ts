// A shard whose sessions have accounts, with a messenger that answers when the test says so.

import { SignJWT } from 'jose'
import { expect, onTestFinished } from 'vitest'
import { createLoginTokenVerifier } from '../../src/auth/tokens.ts'
import type { AdmissionOutcome, Call, CallOutcome, Login, MessengerPort } from '../../src/protocol/call.ts'
import { carryOutOrder, type Order } from '../../src/session/orders.ts'
import { Session } from '../../src/session/session.ts'
import { RecordingWire } from '../fanout/recording-wire.ts'
import { createShardPair, type PairedShard } from './shard-pair.ts'

export const PATIENTLY = { timeout: 10_000, interval: 5 }
const KEY = new Uint8Array(32).fill(7)
export const ANNA: Login = { user: 1, session: 'phone' }

/** A messenger that answers when the test says so. */
export class WaitingMessenger implements MessengerPort {
  readonly calls: { call: Call; done: (outcome: CallOutcome) => void }[] = []
  readonly admissions: { login: Login; done: (outcome: AdmissionOutcome) => void }[] = []
  readonly call = (call: Call, done: (outcome: CallOutcome) => void) => void this.calls.push({ call, done })
  readonly admit = (login: Login, done: (outcome: AdmissionOutcome) => void) =>
    void this.admissions.push({ login, done })
}

export function setUp() {
  const pair = createShardPair({
    messenger: { enabled: true },
    mesh: { ring_size: 2_097_152, backlog_max_size: 524_288 },
    client: { message_size_limit: 8192, channel_limit: 2 },
  })
  onTestFinished(() => pair.close())
  onTestFinished(() => expect(pair.errors).toEqual([]))
  const messenger = new WaitingMessenger()
  const [here, there] = pair.shards
  return { pair, here, there, messenger, open: () => open(here, messenger) }
}

function open({ relay }: PairedShard, messenger: MessengerPort) {
  const wire = new RecordingWire()
  const { connectionTokens } = relay.env
  const env = {
    ...relay.env,
    messenger,
    connectionTokens: { ...connectionTokens, ...createLoginTokenVerifier(KEY) },
  }
  const session = new Session(env, wire, 'a browser')
  const send = (command: object) => session.receive(JSON.stringify(command))
  const lines = () => wire.lines.map(line => JSON.parse(line))
  const reply = (id: number) => expect.poll(() => lines().find(line => line.id === id), PATIENTLY)
  const channels = () => {
    const live = session.state.kind === 'live' ? session.state : undefined
    return [...(live?.subscriptions.keys() ?? [])].sort()
  }
  return { session, wire, send, lines, reply, channels }
}

export function admitted(...channels: string[]): AdmissionOutcome {
  return { ok: true, admission: { channels, info: '{"name":"Anna"}' } }
}

export function order({ relay }: PairedShard, fields: Partial<Order>): void {
  const whole = { user: '1', client: '', info: undefined, data: undefined, expireAt: 0, ...fields } as Order
  carryOutOrder(relay.env.sessions, whole, () => {})
}

export function tokenOf(claims: object): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(KEY)
}

/** Logs in and connects, up to the messenger's admission. */
export async function logIn(
  client: ReturnType<typeof open>,
  messenger: WaitingMessenger,
  login = ANNA,
  subs = {},
) {
  client.send({ id: 1, rpc: { method: 'auth.login', data: {} } })
  messenger.calls.at(-1)!.done({ ok: true, data: '{}', login })
  const before = messenger.admissions.length
  client.send({ id: 2, connect: { subs } })
  await expect.poll(() => messenger.admissions.length, PATIENTLY).toBe(before + 1)
  return messenger.admissions.at(-1)!
}
