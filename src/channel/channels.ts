// The channels whose home this shard is: how they are opened, how long they are remembered, what of them is carried
// over a planned restart. Runs on the shard. Invariant: each has a place in the route table as long as it is here.

import { randomBytes } from 'node:crypto'
import { assert } from '../base/assert.ts'
import { monotonicMs } from '../base/clock.ts'
import type { ResolvedOptions } from '../config/namespaces.ts'
import type { KeptChannel } from '../history/kept.ts'
import { type Entry, Window } from '../history/window.ts'
import { slots } from '../metrics/slots.ts'
import { type ErrorCode, errors, serverFull } from '../protocol/codes.ts'
import { type CountTable, NONE, PIN_HOME } from '../shared/count-table.ts'
import { HistoryMemory } from './history-memory.ts'
import type { Members } from './members.ts'

export type Channel = {
  readonly name: string
  readonly nameJson: string
  readonly options: ResolvedOptions
  readonly route: number
  readonly epoch: string
  readonly window: Window | undefined
  members: Members | undefined
  usedMs: number
}

export type ChannelsOptions = Readonly<{
  shard: number
  routes: CountTable
  row: Float64Array
  /** Options of a channel whose name was already found to be good; undefined: its namespace does not exist. */
  optionsOf: (channel: string) => ResolvedOptions | undefined
  historyBytesMax: number
  historyMetaTtlMs: number
}>

export type Opened = { ok: true; value: Channel } | { ok: false; error: ErrorCode }

/** A channel with history as it is now. Times are monotonic; the entries are a copy of the list. */
export type HeldChannel = KeptChannel & Readonly<{ entries: readonly Entry[] }>

/** So many channels are looked at in one sweep; a hundred thousand channels are seen within ten seconds. */
const SWEEP_CHANNELS_MAX = 10_000
/** A subscriber of a quiet channel that lost its connection is back within this, and finds the same epoch. */
const UNPUBLISHED_KEEP_MS = 60_000
/** From this share on the route table counts as crowded. */
const CROWDED_FROM = 0.9
/** A flood into a full table must not cause a sweep for each command. */
const MAKE_ROOM_PAUSE_MS = 100
/** 48 bits: two epochs of a channel never meet by accident. */
const EPOCH_BYTES = 6

export class Channels {
  readonly memory: HistoryMemory
  readonly #options: ChannelsOptions
  readonly #byName = new Map<string, Channel>()
  #sweep: Iterator<Channel> = this.#byName.values()
  #makeRoomFromMs = 0

  constructor(options: ChannelsOptions) {
    this.#options = options
    this.memory = new HistoryMemory(options.historyBytesMax, options.row)
  }

  find(name: string): Channel | undefined {
    return this.#byName.get(name)
  }

  all(): Iterable<Channel> {
    return this.#byName.values()
  }

  /** The channel, opened if it is not. */
  openFor(name: string): Opened {
    const known = this.#byName.get(name)
    return known === undefined ? this.#open(name) : { ok: true, value: known }
  }

  #open(name: string): Opened {
    const options = this.#options.optionsOf(name)
    if (options === undefined) return { ok: false, error: errors.unknownChannel }
    const route = this.#acquire(name)
    if (route === NONE) {
      this.#options.row[slots.tableRefusals.route]! += 1
      return { ok: false, error: serverFull('the route table') }
    }
    const window = options.historyEnabled ? new Window(windowLimitsOf(options)) : undefined
    const epoch = randomBytes(EPOCH_BYTES).toString('base64url')
    return { ok: true, value: this.#add({ name, options, route, epoch, window, usedMs: monotonicMs() }) }
  }

  #add(parts: Omit<Channel, 'nameJson' | 'members'>): Channel {
    const channel: Channel = { ...parts, nameJson: JSON.stringify(parts.name), members: undefined }
    this.#byName.set(channel.name, channel)
    this.#options.row[slots.channels] = this.#byName.size
    return channel
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
    this.memory.forget(channel)
    this.#byName.delete(channel.name)
    this.#options.routes.release(channel.route, this.#options.shard, PIN_HOME)
  }

  /** Bounded work, once a second: history ages out, and channels that nobody needs give their slots back. */
  sweep(nowMs: number): void {
    this.#ageSome(nowMs)
    this.#options.row[slots.channels] = this.#byName.size
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
    const lookMax = Math.min(SWEEP_CHANNELS_MAX, this.#byName.size)
    for (let looked = 0; looked < lookMax; looked++) {
      let next = this.#sweep.next()
      if (next.done === true) {
        this.#sweep = this.#byName.values()
        next = this.#sweep.next()
      }
      if (next.done === true) return
      this.#age(next.value, nowMs, crowded)
    }
  }

  #age(channel: Channel, nowMs: number, crowded: boolean): void {
    const { window } = channel
    if (window !== undefined) this.memory.expire(window, nowMs)
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

  /** All channels with history, those first that were quiet longest. Changes meanwhile do no harm, and may be missed. */
  *held(): Iterable<HeldChannel> {
    const nowMs = monotonicMs()
    const historied = [...this.#byName.values()].filter(({ window }) => window !== undefined)
    historied.sort((a, b) => a.window!.newestMs - b.window!.newestMs)
    for (const { name, epoch, window, usedMs } of historied) {
      assert(window !== undefined, 'channels without history were left out')
      this.memory.expire(window, nowMs)
      const entries = window.entries()
      yield { name, epoch, offset: window.topOffset, usedMs, publications: entries.length, entries }
    }
  }

  /**
   * Opens a channel as it was held by another home, times made this machine's monotonic ones. Undefined: it has no
   * place here. Otherwise so many publications as it says have to be appended to its window.
   */
  takeOver({ name, epoch, offset, usedMs, publications }: KeptChannel): Channel | undefined {
    const options = this.#options.optionsOf(name)
    if (options === undefined || !options.historyEnabled || this.#byName.has(name)) return undefined
    const window = new Window(windowLimitsOf(options), offset - publications)
    if (monotonicMs() - usedMs >= this.#options.historyMetaTtlMs) return undefined
    const route = this.#acquire(name)
    if (route === NONE) return undefined
    return this.#add({ name, options, route, epoch, window, usedMs })
  }

  /** What was taken over is not to be trusted: the channel starts new. */
  abandon(name: string): void {
    const channel = this.#byName.get(name)
    if (channel !== undefined) this.#close(channel)
  }

  /** After the last channel was taken over. Returns what is here now. */
  settle(): { channels: number; publications: number } {
    const nowMs = monotonicMs()
    let publications = 0
    for (const { window } of this.#byName.values()) {
      if (window === undefined) continue
      this.memory.expire(window, nowMs)
      publications += window.count
    }
    this.memory.sortByUse()
    return { channels: this.#byName.size, publications }
  }
}

function windowLimitsOf(options: ResolvedOptions): { size: number; ttlMs: number } {
  return { size: options.history_size, ttlMs: options.history_ttl }
}
