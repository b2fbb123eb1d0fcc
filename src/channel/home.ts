// The home: orders the channels whose home this shard is, keeps their history and members, and hands each
// publication to the outlet once per shard that has subscribers. Runs on the shard.
// Invariant: offsets of a channel's epoch have no gaps, and a publication that got an offset went to every shard
// whose count in the route table was not zero at that moment; what can't be delivered everywhere is refused before.

import { assert } from '../base/assert.ts'
import { monotonicMs, monotonicUs } from '../base/clock.ts'
import type { KeptChannel, KeptKey, TakePublication } from '../history/kept.ts'
import { decidePage, decideRecovery, type StreamState } from '../history/recovery.ts'
import type { Window } from '../history/window.ts'
import { slots } from '../metrics/slots.ts'
import { detailed, type ErrorCode, errors } from '../protocol/codes.ts'
import type { Answer, Ask, Tells } from '../protocol/envelope.ts'
import { joinPush, leavePush, publication, publicationPush } from '../protocol/replies.ts'
import { NONE } from '../shared/count-table.ts'
import { type Channel, Channels, type ChannelsOptions, type HeldChannel } from './channels.ts'
import { globMatcher } from './glob.ts'
import { IdempotencyCache } from './idempotency.ts'
import { Members } from './members.ts'
import type { Outlet } from './outlet.ts'
import { publicationForm, publicationsOf } from './push-lines.ts'

export type HomeOptions = ChannelsOptions &
  Readonly<{ shards: number; outlet: Outlet; recoveryCountMax: number }>

export type Outcome<T> = { ok: true; value: T } | { ok: false; error: ErrorCode }

/** A history reply or recovery is cut to so much text: it has to fit in one record of a ring and one frame. */
const REPLY_BYTES_MAX = 512 << 10

export class Home {
  readonly #options: HomeOptions
  readonly #channels: Channels
  readonly #idempotency = new IdempotencyCache()
  readonly #replyBytesMax: number
  #scratch = Buffer.allocUnsafeSlow(64 << 10)

  constructor(options: HomeOptions) {
    this.#options = options
    this.#channels = new Channels(options)
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
    const known = this.#channels.find(name)
    if (known !== undefined) return { ok: true, value: known }
    const options = this.#options.optionsOf(name)
    if (options === undefined) return { ok: false, error: errors.unknownChannel }
    if (!options.historyEnabled && this.#options.routes.find(name) === NONE)
      return { ok: true, value: undefined }
    return this.#channels.openFor(name)
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
    if (window !== undefined) this.#channels.memory.append(channel, window, text, line.length, nowMs)
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
    const opened = this.#channels.openFor(ask.channel)
    if (!opened.ok) return answered(opened)
    const channel = opened.value
    if (ask.presence || ask.emitsJoinLeave) this.#addMember(channel, ask, shard)
    answered({ ok: true, value: this.#position(channel, ask) })
    if (ask.emitsJoinLeave) this.#announce(channel, joinPush(channel.nameJson, ask.info))
  }

  #position(channel: Channel, ask: Ask<'subscribe'>): Answer<'subscribe'> {
    const { window, epoch } = channel
    if (window === undefined) return { epoch: '', offset: 0, recovered: false, publications: '' }
    this.#channels.memory.expire(window, monotonicMs())
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
    const opened = this.#channels.openFor(tell.channel)
    // A full table is the one reason; presence is then incomplete, as it is for new subscribers.
    if (opened.ok) this.#addMember(opened.value, tell, shard)
  }

  leave({ channel: name, client }: Tells['leave']): void {
    const channel = this.#channels.find(name)
    const member = channel?.members?.remove(client)
    if (channel === undefined || member === undefined) return
    channel.usedMs = monotonicMs()
    if (member.emitsJoinLeave) this.#announce(channel, leavePush(channel.nameJson, member.info))
  }

  /** A shard is lost with all its connections: its members leave. */
  loseShard(shard: number): void {
    for (const channel of this.#channels.all()) {
      for (const member of channel.members?.removeShard(shard) ?? []) {
        if (member.emitsJoinLeave) this.#announce(channel, leavePush(channel.nameJson, member.info))
      }
    }
  }

  catchUp(ask: Ask<'catchUp'>): Outcome<Answer<'catchUp'>> {
    const channel = this.#channels.find(ask.channel)
    const window = channel?.window
    if (channel === undefined || window === undefined)
      return { ok: false, error: errors.unrecoverablePosition }
    this.#channels.memory.expire(window, monotonicMs())
    const decision = decideRecovery(this.#state(channel, window), ask, Number.POSITIVE_INFINITY)
    if (decision.kind === 'lost') return { ok: false, error: errors.unrecoverablePosition }
    const bytesMax = Math.min(ask.bytesMax, this.#replyBytesMax)
    const texts = window.read(decision.first, decision.count, bytesMax)
    const lines = texts.length === 0 ? '' : `${texts.join('\n')}\n`
    const offset = ask.offset + texts.length
    return { ok: true, value: { complete: offset === window.topOffset, offset, count: texts.length, lines } }
  }

  history(ask: Ask<'history'>): Outcome<Answer<'history'>> {
    const channel = this.#channels.find(ask.channel)
    // To read takes no place in the route table: nobody could be kept from asking for channels that never were.
    if (channel === undefined) {
      if (ask.hasSince && ask.sinceEpoch !== '') return { ok: false, error: errors.unrecoverablePosition }
      return { ok: true, value: { epoch: '', offset: 0, publications: '' } }
    }
    const { window } = channel
    if (window === undefined) return { ok: false, error: errors.notAvailable }
    this.#channels.memory.expire(window, monotonicMs())
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
    const window = this.#channels.find(ask.channel)?.window
    return { ok: true, value: { removed: window === undefined ? 0 : this.#channels.memory.clear(window) } }
  }

  presence(ask: Ask<'presence'>): Outcome<Answer<'presence'>> {
    const members = this.#channels.find(ask.channel)?.members
    const json = members === undefined ? '' : members.json(this.#replyBytesMax)
    if (json === undefined) {
      const why = `${members?.clients} clients are too many to list, ask for presence_stats`
      return { ok: false, error: detailed(errors.limitExceeded, why) }
    }
    return { ok: true, value: { members: json } }
  }

  presenceStats(ask: Ask<'presenceStats'>): Outcome<Answer<'presenceStats'>> {
    const members = this.#channels.find(ask.channel)?.members
    return { ok: true, value: { clients: members?.clients ?? 0, users: members?.users ?? 0 } }
  }

  /** Channels at home here that have subscribers and match; JSON members joined by commas. */
  channels(ask: Ask<'channels'>): Outcome<Answer<'channels'>> {
    const matches = globMatcher(ask.pattern)
    const parts: string[] = []
    let bytes = 0
    for (const channel of this.#channels.all()) {
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

  /** Bounded work, once a second: history and keys age out, and channels that nobody needs give their slots back. */
  sweep(nowMs: number): void {
    this.#idempotency.expire(nowMs)
    this.#channels.sweep(nowMs)
  }

  /** The route table is full: channels at home here that are only remembered give their places back. */
  makeRoom(): void {
    this.#channels.makeRoom()
  }

  /** All that another process needs to go on where this home ends; times are monotonic. */
  held(): Iterable<HeldChannel> {
    return this.#channels.held()
  }

  heldKeys(): Iterable<KeptKey> {
    return this.#idempotency.held(monotonicMs())
  }

  /** Takes a channel from the home that had it; its publications, oldest first, go to what this returns, if anything. */
  takeOver(kept: KeptChannel): TakePublication | undefined {
    const channel = this.#channels.takeOver(kept)
    if (channel?.window === undefined) return undefined
    const { window, nameJson } = channel
    const isPublication = publicationForm(nameJson)
    const { memory } = this.#channels
    return (text, textBytes, atMs) => {
      if (!isPublication(text)) return false
      memory.append(channel, window, text, textBytes, atMs)
      // Larger than the rings of this process carry: it can't be replayed to all, and a window has no gaps.
      if (textBytes > this.#options.outlet.lineBytesMax) memory.clear(window)
      return true
    }
  }

  /** Channels that were taken over and turned out to be damaged start new. */
  abandon(names: readonly string[]): void {
    for (const name of names) this.#channels.abandon(name)
  }

  /** After all channels were taken over. Returns what is here now. */
  settle(keys: readonly KeptKey[]): { channels: number; publications: number } {
    const nowMs = monotonicMs()
    for (const key of keys.toSorted((a, b) => a.untilMs - b.untilMs)) this.#idempotency.takeOver(key, nowMs)
    return this.#channels.settle()
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

function orUndefined(text: string): string | undefined {
  return text === '' ? undefined : text
}
