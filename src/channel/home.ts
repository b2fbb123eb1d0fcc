// The home: orders the channels whose home this shard is, keeps their history and members, and hands each
// publication to the outlet once per shard that has subscribers. Runs on the shard.
// Invariant: offsets of a channel's epoch have no gaps, and a publication that got an offset went to every shard
// whose count in the route table was not zero at that moment; what can't be delivered everywhere is refused before.

import { randomBytes } from 'node:crypto'
import { assert } from '../base/assert.ts'
import { monotonicMs, monotonicUs } from '../base/clock.ts'
import type { ResolvedOptions } from '../config/namespaces.ts'
import { decidePage, decideRecovery, type StreamState } from '../history/recovery.ts'
import { Window } from '../history/window.ts'
import { slots } from '../metrics/slots.ts'
import { detailed, type ErrorCode, errors, serverFull } from '../protocol/codes.ts'
import type { Answer, Ask, Tells } from '../protocol/envelope.ts'
import { joinPush, leavePush, publication, publicationPush } from '../protocol/replies.ts'
import { type CountTable, NONE, PIN_HOME } from '../shared/count-table.ts'
import { globMatcher } from './glob.ts'
import { HistoryMemory } from './history-memory.ts'
import { IdempotencyCache } from './idempotency.ts'
import { Members } from './members.ts'
import type { Outlet } from './outlet.ts'
import { publicationsOf } from './push-lines.ts'

export type HomeOptions = Readonly<{
  shard: number
  shards: number
  routes: CountTable
  outlet: Outlet
  row: Float64Array
  /** Options of a channel whose name was already found to be good; undefined: its namespace does not exist. */
  optionsOf: (channel: string) => ResolvedOptions | undefined
  historyBytesMax: number
  historyMetaTtlMs: number
  recoveryCountMax: number
}>

type Channel = {
  readonly name: string
  readonly nameJson: string
  readonly options: ResolvedOptions
  readonly route: number
  readonly epoch: string
  readonly window: Window | undefined
  members: Members | undefined
  usedMs: number
}

export type Outcome<T> = { ok: true; value: T } | { ok: false; error: ErrorCode }

/** So many channels are looked at in one sweep; a hundred thousand channels are seen within ten seconds. */
const SWEEP_CHANNELS_MAX = 10_000
/** A subscriber of a quiet channel that lost its connection is back within this, and finds the same epoch. */
const UNPUBLISHED_KEEP_MS = 60_000
/** From this share on the route table counts as crowded. */
const CROWDED_FROM = 0.9
/** A flood into a full table must not cause a sweep for each command. */
const MAKE_ROOM_PAUSE_MS = 100
/** A history reply or recovery is cut to so much text: it has to fit in one record of a ring and one frame. */
const REPLY_BYTES_MAX = 512 << 10

export class Home {
  readonly #options: HomeOptions
  readonly #channels = new Map<string, Channel>()
  readonly #idempotency = new IdempotencyCache()
  readonly #memory: HistoryMemory
  readonly #replyBytesMax: number
  #sweep: Iterator<Channel> = this.#channels.values()
  #makeRoomFromMs = 0
  #scratch = Buffer.allocUnsafeSlow(64 << 10)

  constructor(options: HomeOptions) {
    this.#options = options
    this.#memory = new HistoryMemory(options.historyBytesMax, options.row)
    this.#replyBytesMax = Math.min(REPLY_BYTES_MAX, options.outlet.lineBytesMax)
  }

  publish(ask: Ask<'publish'>): Outcome<Answer<'publish'>> {
    const nowMs = monotonicMs()
    const keyed = ask.idempotencyKey !== ''
    const earlier = keyed ? this.#idempotency.find(ask.channel, ask.idempotencyKey, nowMs) : undefined
    if (earlier !== undefined) return { ok: true, value: earlier }
    const found = this.#forPublishing(ask.channel)
    if (!found.ok) return found
    const result =
      found.value === undefined ? { ok: true as const, value: NOBODY } : this.#place(found.value, ask, nowMs)
    if (result.ok && keyed) this.#idempotency.remember(ask.channel, ask.idempotencyKey, result.value, nowMs)
    return result
  }

  /** The channel; undefined: it keeps nothing and nobody is subscribed, so there is nothing to do. */
  #forPublishing(name: string): Outcome<Channel | undefined> {
    const known = this.#channels.get(name)
    if (known !== undefined) return { ok: true, value: known }
    const options = this.#options.optionsOf(name)
    if (options === undefined) return { ok: false, error: errors.unknownChannel }
    if (!options.historyEnabled && this.#options.routes.find(name) === NONE)
      return { ok: true, value: undefined }
    return this.#open(name)
  }

  /** Gives the publication its place in the order and sends it out. */
  #place(channel: Channel, ask: Ask<'publish'>, nowMs: number): Outcome<Answer<'publish'>> {
    const acceptedUs = monotonicUs()
    const window = ask.skipHistory ? undefined : channel.window
    const offset = window === undefined ? 0 : window.nextOffset
    const json = publication(ask.data, offset, orUndefined(ask.info), orUndefined(ask.tags))
    const text = publicationPush(channel.nameJson, json)
    const line = this.#encode(text)
    const { outlet } = this.#options
    if (line.length > outlet.lineBytesMax) {
      return {
        ok: false,
        error: detailed(errors.limitExceeded, `data of ${line.length} bytes, at most ${outlet.lineBytesMax}`),
      }
    }
    // Either all shards can take it or it does not happen: an offset once given must reach everybody.
    const targets = this.#subscribedShards(channel)
    if (!targets.every(shard => outlet.accepts(shard, line.length))) {
      return { ok: false, error: errors.tooManyRequests }
    }
    if (window !== undefined) this.#memory.append(channel, window, text, line.length, nowMs)
    channel.usedMs = nowMs
    for (const shard of targets) outlet.deliver(shard, channel.name, line, offset, acceptedUs)
    return { ok: true, value: window === undefined ? NOBODY : { epoch: channel.epoch, offset } }
  }

  /** `answered` runs before the join event goes out, so that the new subscriber sees its own. */
  subscribe(
    ask: Ask<'subscribe'>,
    shard: number,
    answered: (outcome: Outcome<Answer<'subscribe'>>) => void,
  ): void {
    const opened = this.#openFor(ask.channel)
    if (!opened.ok) return answered(opened)
    const channel = opened.value
    if (ask.presence || ask.emitsJoinLeave) this.#addMember(channel, ask, shard)
    answered({ ok: true, value: this.#position(channel, ask) })
    if (ask.emitsJoinLeave) this.#announce(channel, joinPush(channel.nameJson, ask.info))
  }

  #position(channel: Channel, ask: Ask<'subscribe'>): Answer<'subscribe'> {
    const { window, epoch } = channel
    if (window === undefined) return { epoch: '', offset: 0, recovered: false, publications: '' }
    this.#memory.expire(window, monotonicMs())
    const answer = { epoch, offset: window.topOffset, recovered: false, publications: '' }
    if (!ask.recover) return answer
    const decision = decideRecovery(this.#state(channel, window), ask, this.#options.recoveryCountMax)
    if (decision.kind === 'lost') return answer
    const texts = window.read(decision.first, decision.count, this.#replyBytesMax)
    // More bytes than one reply carries count as lost too: half a replay would be a hidden gap.
    if (texts.length < decision.count) return answer
    return { ...answer, recovered: true, publications: publicationsOf(channel.nameJson, texts) }
  }

  restore(tell: Tells['restore'], shard: number): void {
    const opened = this.#openFor(tell.channel)
    // A full table is the one reason; presence is then incomplete, as it is for new subscribers.
    if (opened.ok) this.#addMember(opened.value, tell, shard)
  }

  leave({ channel: name, client }: Tells['leave']): void {
    const channel = this.#channels.get(name)
    const member = channel?.members?.remove(client)
    if (channel === undefined || member === undefined) return
    channel.usedMs = monotonicMs()
    if (member.emitsJoinLeave) this.#announce(channel, leavePush(channel.nameJson, member.info))
  }

  /** A shard is lost with all its connections: its members leave. */
  loseShard(shard: number): void {
    for (const channel of this.#channels.values()) {
      for (const member of channel.members?.removeShard(shard) ?? []) {
        if (member.emitsJoinLeave) this.#announce(channel, leavePush(channel.nameJson, member.info))
      }
    }
  }

  catchUp(ask: Ask<'catchUp'>): Outcome<Answer<'catchUp'>> {
    const channel = this.#channels.get(ask.channel)
    const window = channel?.window
    if (channel === undefined || window === undefined)
      return { ok: false, error: errors.unrecoverablePosition }
    this.#memory.expire(window, monotonicMs())
    const decision = decideRecovery(this.#state(channel, window), ask, Number.POSITIVE_INFINITY)
    if (decision.kind === 'lost') return { ok: false, error: errors.unrecoverablePosition }
    const bytesMax = Math.min(ask.bytesMax, this.#replyBytesMax)
    const texts = window.read(decision.first, decision.count, bytesMax)
    const lines = texts.length === 0 ? '' : `${texts.join('\n')}\n`
    const offset = ask.offset + texts.length
    return { ok: true, value: { complete: offset === window.topOffset, offset, count: texts.length, lines } }
  }

  history(ask: Ask<'history'>): Outcome<Answer<'history'>> {
    const channel = this.#channels.get(ask.channel)
    // To read takes no place in the route table: nobody could be kept from asking for channels that never were.
    if (channel === undefined) {
      if (ask.hasSince && ask.sinceEpoch !== '') return { ok: false, error: errors.unrecoverablePosition }
      return { ok: true, value: { epoch: '', offset: 0, publications: '' } }
    }
    const { window } = channel
    if (window === undefined) return { ok: false, error: errors.notAvailable }
    this.#memory.expire(window, monotonicMs())
    const since = ask.hasSince ? { epoch: ask.sinceEpoch, offset: ask.sinceOffset } : undefined
    const request = { limit: ask.limit, since, reverse: ask.reverse }
    const page = decidePage(this.#state(channel, window), request, ask.countMax)
    if (page.kind === 'unrecoverable_position') return { ok: false, error: errors.unrecoverablePosition }
    const texts = ask.reverse
      ? window.readReverse(page.first, page.count, this.#replyBytesMax)
      : window.read(page.first, page.count, this.#replyBytesMax)
    const publications = publicationsOf(channel.nameJson, texts)
    return { ok: true, value: { epoch: channel.epoch, offset: window.topOffset, publications } }
  }

  historyRemove(ask: Ask<'historyRemove'>): Outcome<Answer<'historyRemove'>> {
    const window = this.#channels.get(ask.channel)?.window
    return { ok: true, value: { removed: window === undefined ? 0 : this.#memory.clear(window) } }
  }

  presence(ask: Ask<'presence'>): Outcome<Answer<'presence'>> {
    const members = this.#channels.get(ask.channel)?.members
    const json = members === undefined ? '' : members.json(this.#replyBytesMax)
    if (json === undefined) {
      const why = `${members?.clients} clients are too many to list, ask for presence_stats`
      return { ok: false, error: detailed(errors.limitExceeded, why) }
    }
    return { ok: true, value: { members: json } }
  }

  presenceStats(ask: Ask<'presenceStats'>): Outcome<Answer<'presenceStats'>> {
    const members = this.#channels.get(ask.channel)?.members
    return { ok: true, value: { clients: members?.clients ?? 0, users: members?.users ?? 0 } }
  }

  /** Channels at home here that have subscribers and match; JSON members joined by commas. */
  channels(ask: Ask<'channels'>): Outcome<Answer<'channels'>> {
    const matches = globMatcher(ask.pattern)
    const parts: string[] = []
    let bytes = 0
    for (const channel of this.#channels.values()) {
      const clients = this.#options.routes.total(channel.route)
      if (clients === 0 || !matches(channel.name)) continue
      const part = `${channel.nameJson}:{"num_clients":${clients}}`
      bytes += Buffer.byteLength(part) + 1
      if (bytes > this.#replyBytesMax) {
        const why = 'too many channels to list, give a narrower pattern'
        return { ok: false, error: detailed(errors.limitExceeded, why) }
      }
      parts.push(part)
    }
    return { ok: true, value: { channels: parts.join(',') } }
  }

  /** Bounded work, once a second: history ages out, and channels that nobody needs give their slots back. */
  sweep(nowMs: number): void {
    this.#idempotency.expire(nowMs)
    this.#ageSome(nowMs)
    this.#options.row[slots.channels] = this.#channels.size
  }

  /** The route table is full: channels at home here that are only remembered give their places back. */
  makeRoom(): void {
    const nowMs = monotonicMs()
    if (nowMs < this.#makeRoomFromMs) return
    this.#makeRoomFromMs = nowMs + MAKE_ROOM_PAUSE_MS
    this.#ageSome(nowMs)
  }

  #ageSome(nowMs: number): void {
    const { routes } = this.#options
    const crowded = routes.used() >= routes.capacity * CROWDED_FROM
    // Each channel at most once a turn, going on where the last turn ended.
    const lookMax = Math.min(SWEEP_CHANNELS_MAX, this.#channels.size)
    for (let looked = 0; looked < lookMax; looked++) {
      let next = this.#sweep.next()
      if (next.done === true) {
        this.#sweep = this.#channels.values()
        next = this.#sweep.next()
      }
      if (next.done === true) return
      this.#age(next.value, nowMs, crowded)
    }
  }

  #age(channel: Channel, nowMs: number, crowded: boolean): void {
    const { window } = channel
    if (window !== undefined) this.#memory.expire(window, nowMs)
    if (this.#options.routes.total(channel.route) > 0 || (channel.members?.size ?? 0) > 0) {
      channel.usedMs = nowMs
      return
    }
    // Where room is wanted, what has no publications left goes first; who comes back with a position is told.
    const keepMs = crowded && (window?.count ?? 0) === 0 ? 0 : this.#keepMs(window)
    if (nowMs - channel.usedMs >= keepMs) this.#close(channel)
  }

  /**
   * How long an unused channel is remembered: longer than its publications, for its position must not start over
   * while clients may come back with an old one; but not so long if nothing was ever published in it.
   */
  #keepMs(window: Window | undefined): number {
    if (window === undefined) return 0
    const { historyMetaTtlMs } = this.#options
    return window.topOffset === 0 ? Math.min(UNPUBLISHED_KEEP_MS, historyMetaTtlMs) : historyMetaTtlMs
  }

  #openFor(name: string): Outcome<Channel> {
    const known = this.#channels.get(name)
    return known === undefined ? this.#open(name) : { ok: true, value: known }
  }

  #open(name: string): Outcome<Channel> {
    const options = this.#options.optionsOf(name)
    if (options === undefined) return { ok: false, error: errors.unknownChannel }
    const route = this.#acquire(name)
    if (route === NONE) {
      this.#options.row[slots.tableRefusals.route]! += 1
      return { ok: false, error: serverFull('the route table') }
    }
    const limits = { size: options.history_size, ttlMs: options.history_ttl }
    const channel: Channel = {
      name,
      nameJson: JSON.stringify(name),
      options,
      route,
      epoch: randomBytes(EPOCH_BYTES).toString('base64url'),
      window: options.historyEnabled ? new Window(limits) : undefined,
      members: undefined,
      usedMs: monotonicMs(),
    }
    this.#channels.set(name, channel)
    this.#options.row[slots.channels] = this.#channels.size
    return { ok: true, value: channel }
  }

  /** A place in the route table; if it is full, that of a channel which is only remembered. */
  #acquire(name: string): number {
    const { routes, shard } = this.#options
    const route = routes.acquire(name, shard, PIN_HOME)
    if (route !== NONE) return route
    this.makeRoom()
    return routes.acquire(name, shard, PIN_HOME)
  }

  #close(channel: Channel): void {
    this.#memory.forget(channel)
    this.#channels.delete(channel.name)
    this.#options.routes.release(channel.route, this.#options.shard, PIN_HOME)
  }

  #addMember(channel: Channel, ask: Omit<Tells['restore'], 'channel'>, shard: number): void {
    const { user, info, presence, emitsJoinLeave } = ask
    channel.members ??= new Members()
    channel.members.add(ask.client, { user, info, shard, presence, emitsJoinLeave })
  }

  #announce(channel: Channel, text: string): void {
    const { outlet, row } = this.#options
    const line = this.#encode(text)
    for (const shard of this.#subscribedShards(channel)) {
      const fits = line.length <= outlet.lineBytesMax
      if (!fits || !outlet.announce(shard, channel.name, line)) row[slots.drops.join_leave_ring_full]! += 1
    }
  }

  /**
   * The shards with subscribers, looked at once: the counts are changed by other threads at any time. Who comes after
   * this look asks for the position after this publication.
   */
  #subscribedShards(channel: Channel): number[] {
    const { routes, shards } = this.#options
    const subscribed: number[] = []
    for (let shard = 0; shard < shards; shard++) {
      if (routes.countAt(channel.route, shard) > 0) subscribed.push(shard)
    }
    return subscribed
  }

  #state(channel: Channel, window: Window): StreamState {
    return { epoch: channel.epoch, topOffset: window.topOffset, firstOffset: window.firstOffset }
  }

  /** UTF-8 of a line, in memory that the next call uses again. */
  #encode(text: string): Buffer {
    if (text.length * 3 > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(text.length * 3)
    const bytes = this.#scratch.write(text, 0, 'utf8')
    assert(bytes >= text.length, 'the scratch is large enough for any text')
    return this.#scratch.subarray(0, bytes)
  }
}

const NOBODY: Answer<'publish'> = { epoch: '', offset: 0 }
/** 48 bits: two epochs of a channel never meet by accident. */
const EPOCH_BYTES = 6

function orUndefined(text: string): string | undefined {
  return text === '' ? undefined : text
}
