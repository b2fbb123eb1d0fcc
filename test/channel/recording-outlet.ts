// A home with a real route table and an outlet that remembers, for the tests of this folder.

import { Home, type HomeOptions, type Outcome } from '../../src/channel/home.ts'
import type { Outlet } from '../../src/channel/outlet.ts'
import type { ResolvedOptions } from '../../src/config/namespaces.ts'
import { slotCount } from '../../src/metrics/slots.ts'
import type { Answer, Ask } from '../../src/protocol/envelope.ts'
import { CountTable, createCountTableMemory, PIN_HOLDER } from '../../src/shared/count-table.ts'

export type Sent = { shard: number; channel: string; line: string; offset: number | undefined }

export class RecordingOutlet implements Outlet {
  lineBytesMax = 100_000
  readonly sent: Sent[] = []
  /** Shards whose ring is full. */
  readonly full = new Set<number>()
  /** Runs when the home asks whether a shard has room. */
  onAccepts: () => void = () => {}

  accepts(shard: number): boolean {
    this.onAccepts()
    return !this.full.has(shard)
  }

  deliver(shard: number, channel: string, line: Uint8Array, offset: number): void {
    if (this.full.has(shard)) throw new Error('delivered to a shard that has no room')
    this.sent.push({ shard, channel, line: Buffer.from(line).toString(), offset })
  }

  announce(shard: number, channel: string, line: Uint8Array): boolean {
    if (this.full.has(shard)) return false
    this.sent.push({ shard, channel, line: Buffer.from(line).toString(), offset: undefined })
    return true
  }

  /** What was sent to a shard, as parsed pushes; forgotten afterwards. */
  take(shard?: number): unknown[] {
    const taken = this.sent.splice(0).filter(one => shard === undefined || one.shard === shard)
    return taken.map(({ line }) => JSON.parse(line).push)
  }
}

/** Channels `h:…` have history; `?…` have no namespace that exists; others keep nothing. */
export function optionsOf(channel: string): ResolvedOptions | undefined {
  if (channel.startsWith('?')) return undefined
  const historyEnabled = channel.startsWith('h:')
  return { namespace: '', historyEnabled, history_size: 5, history_ttl: 60_000 } as ResolvedOptions
}

export const SHARDS = 3

export function createHome(changed: Partial<HomeOptions> & { capacity?: number } = {}) {
  const { capacity = 64, ...options } = changed
  const routes = new CountTable(createCountTableMemory({ capacity, shards: SHARDS }), new Uint32Array([3, 4]))
  const outlet = new RecordingOutlet()
  const row = new Float64Array(slotCount)
  const home = new Home({
    shard: 0,
    shards: SHARDS,
    routes,
    outlet,
    row,
    optionsOf,
    historyBytesMax: 1 << 20,
    historyMetaTtlMs: 3_600_000,
    recoveryCountMax: 100,
    ...options,
  })
  return { home, routes, outlet, row }
}

export type TestHome = ReturnType<typeof createHome>

/** A shard that has subscribers in a channel. */
export function addSubscribers({ routes }: TestHome, channel: string, shard: number, count = 1): () => void {
  const node = routes.acquire(channel, shard, PIN_HOLDER)
  routes.add(node, shard, count)
  return () => {
    routes.add(node, shard, -count)
    routes.release(node, shard, PIN_HOLDER)
  }
}

export function publishAsk(
  channel: string,
  data = '1',
  changed: Partial<Ask<'publish'>> = {},
): Ask<'publish'> {
  return { channel, data, info: '', tags: '', skipHistory: false, idempotencyKey: '', ...changed }
}

export function subscribeAsk(channel: string, changed: Partial<Ask<'subscribe'>> = {}): Ask<'subscribe'> {
  const nobody = { client: 'id', user: 'u', info: '{"user":"u","client":"id"}', presence: false }
  return { channel, ...nobody, emitsJoinLeave: false, recover: false, epoch: '', offset: 0, ...changed }
}

export function subscribe(
  { home }: TestHome,
  channel: string,
  changed: Partial<Ask<'subscribe'>> = {},
  shard = 0,
): Answer<'subscribe'> {
  let outcome: Outcome<Answer<'subscribe'>> | undefined
  home.subscribe(subscribeAsk(channel, changed), shard, given => {
    outcome = given
  })
  return resultOf(outcome)
}

/** The value of an outcome that has to be good. */
export function resultOf<T>(outcome: Outcome<T> | undefined): T {
  if (outcome?.ok !== true) throw new Error(`not ok: ${JSON.stringify(outcome?.error)}`)
  return outcome.value
}

/** A publication's data have to be good JSON and its channel has to take it. */
export function publish(
  { home }: TestHome,
  channel: string,
  data = '1',
  changed: Partial<Ask<'publish'>> = {},
) {
  return resultOf(home.publish(publishAsk(channel, data, changed)))
}

/** The push of a publication in the channel `h:a`. */
export function pub(offset: number, data: unknown = 1) {
  return { channel: 'h:a', pub: { data, offset } }
}

export function datasOf(publications: string): unknown[] {
  return JSON.parse(`[${publications}]`).map((one: { data: unknown }) => one.data)
}
