// What the main thread asks of the worker threads that make the load, and what they answer. Types only.
// Times are microseconds of the machine's monotonic clock, the same in all threads (generator/clock.ts).
// Histograms travel as bytes (ledger/histogram.ts). Requests begin in order; one that takes long does not
// keep the others waiting (generator/worker.ts).

import type { DeliveryCounts, PublishBy } from '../model.ts'

/** Where a thread connects to, and how one speaks there. */
export type Endpoint = Readonly<{
  /** URL of a module that exports `dialect` (generator/dialect.ts). */
  dialect: string
  /** ws:// or wss:// URL, with path; undefined where the target has none. */
  websocket?: string
  tcp?: Readonly<{ host: string; port: number }>
  /** http:// or https:// URL of the server API, ending in `/api`. */
  api?: string
  apiKey?: string
  /** Connection token, sent by all. */
  token?: string
  sources: readonly string[]
  /** Names of channels: prefix + number; the prefix has the run's id in it, so that runs don't meet. */
  channelPrefix: string
}>

export type ReceiverData = Readonly<{
  role: 'receiver'
  index: number
  endpoint: Endpoint
  seed: number
}>
export type PublisherData = Readonly<{
  role: 'publisher'
  endpoint: Endpoint
  size: number
  by: PublishBy
  publishers: number
  transport: 'ws' | 'tcp'
}>

/** A subscriber as a receiver knows it: its number is the one in the scenario's plan. */
export type PlannedSubscriber = Readonly<{
  subscriber: number
  transport: 'ws' | 'tcp'
  channels: readonly number[]
  aside: boolean
}>

export type ReceiverRequest =
  | Readonly<{ kind: 'connect'; subscribers: readonly PlannedSubscriber[] }>
  /** Publications due in [fromUs, toUs) belong to the window; toUs may come later, by the same id. */
  | Readonly<{ kind: 'window'; id: number; fromUs: number; toUs?: number }>
  | Readonly<{ kind: 'pause' | 'resume' | 'cut' | 'reconnect'; subscribers: readonly number[] }>
  | Readonly<{
      kind: 'churn'
      subscribers: readonly number[]
      connectionsPerSecond: number
      subscriptionsPerSecond: number
    }>
  | Readonly<{ kind: 'stopChurn' }>
  /** Answered with Reconnections of those that came back by themselves since it was last asked; when it is turned off,
   * those that are on their way are waited for. Resubscriptions after unsubscribe 2500 count as well. */
  | Readonly<{ kind: 'reconnectWhenEnded'; on: boolean }>
  /** The latency of all windows so far; answered with WindowLatencies. Scenarios compare windows by it. */
  | Readonly<{ kind: 'windows' }>
  /** Since the last progress. */
  | Readonly<{ kind: 'progress' }>
  /** Closes the books: what is owed is known now. */
  | Readonly<{ kind: 'finish'; channels: readonly ChannelEnd[] }>
  | Readonly<{ kind: 'close' }>

/** What was published in a channel. Sequence numbers begin at 1. */
export type ChannelEnd = Readonly<{
  channel: number
  last: number
  /** Not owed: refused or of unknown fate, as ranges [from, to], ascending. */
  exceptions: ReadonlyArray<readonly [from: number, to: number]>
}>

export type Connected = Readonly<{
  connected: number
  failed: number
  tookMs: number
  errors: readonly string[]
}>

export type Reconnections = Readonly<{
  recovered: number
  notRecovered: number
  failed: number
  /** Of each subscriber that is back: ms from the cut to its last subscription's answer. */
  backMs: Float64Array
}>

export type Churned = Readonly<{ reconnects: number; resubscriptions: number; failed: number }>

export type ReceiverProgress = Readonly<{
  /** Now: open and subscribed. */
  connections: number
  /** Ended by the server or lost, since the last progress; with codes where there were some: code → how often. */
  ended: Readonly<Record<string, number>>
  /** Since the last progress. */
  deliveries: number
  /** Latency of what came since the last progress, without those aside. */
  latency: Uint8Array
  /** Records of 5 numbers: channel, sequence, intended, first and last receipt (µs) of publications that all of this
   * thread's subscribers in the channel (without those aside) have. See ledger/recipients.ts. */
  complete: Float64Array
  /** Over the whole run. */
  deliveredTotal: number
  use: Use
}>

export type ReceiverFinish = DeliveryCounts & Readonly<{ windows: WindowLatencies }>

/** Of each window: id → latency histogram of all recipients, without those aside. */
export type WindowLatencies = ReadonlyArray<readonly [id: number, latency: Uint8Array]>

/** What a thread used since it was last asked. */
export type Use = Readonly<{
  utilization: number
  /** Of the event loop, as histogram of µs. */
  delay: Uint8Array
  /** Time in which it could run but had no core; undefined where the system doesn't tell. */
  waitedForCoreUs?: number
  elapsedUs: number
}>

export type PublisherRequest =
  | Readonly<{ kind: 'open' }>
  /** Publication n of this stretch is due at startUs + n / rate, in channels[n mod their number]. */
  | Readonly<{ kind: 'start'; startUs: number; rate: number; channels: readonly number[] }>
  /** Resolves when all answers are there, or after a bounded wait. */
  | Readonly<{ kind: 'stop' }>
  | Readonly<{ kind: 'window'; id: number; fromUs: number; toUs?: number }>
  | Readonly<{ kind: 'progress' }>
  | Readonly<{ kind: 'ends' }>
  | Readonly<{ kind: 'close' }>

export type PublisherProgress = Readonly<{
  /** Since the last progress. */
  sent: number
  /** Over the whole run. */
  sentTotal: number
  acknowledgedTotal: number
  refusedTotal: number
  unknownTotal: number
  /** Due but not sent: waiting for a connection, or for the answer before. */
  waiting: number
  /** Error texts → how often. */
  errors: Readonly<Record<string, number>>
  use: Use
}>

export type PublisherEnds = Readonly<{
  channels: readonly ChannelEnd[]
  /** Of each window: id, publications due and sent in it, and histograms of lateness (left after due, by the
   * publisher's own fault: not the wait for the server) and of acknowledgement (due → answer). */
  windows: ReadonlyArray<
    Readonly<{ id: number; sent: number; lateness: Uint8Array; acknowledgement: Uint8Array }>
  >
}>
