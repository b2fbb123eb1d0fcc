// What a scenario is and what it may do: it reads as the list of steps that it takes on a stage. Types only.
// Invariant: a scenario knows neither sockets nor threads nor how results are written.

import type { Finding, LatencySummaries, Load, RunResult } from './model.ts'

export type Scenario = Readonly<{
  name: string
  /** The one question that it answers. */
  question: string
  defaults: Load
  /** So small that it runs with the tests in a few seconds. */
  smoke: Partial<Load>
  /** Channels with history, so that what a connection missed is recovered; sizes the own relay's namespace. */
  recoverable: boolean
  /** Further sections of the own relay's configuration. */
  relay?: (load: Load) => Readonly<Record<string, unknown>>
  /** A lost or reordered publication is a fault (exit code 1). `told`: losses that the client was told of are none. */
  promises: 'complete' | 'told'
  /** Needs a relay that it may stop and start; not for deployed ones. */
  ownRelayOnly?: boolean
  /** A steady load that can be raised until it is too much. */
  hasKnee?: boolean
  /** Which of the load's options don't matter here; they are refused on the command line. */
  ignores?: readonly (keyof Load)[]
  run: (stage: Stage) => Promise<void>
}>

/** A subscriber of the plan. They are numbered by their place in it. */
export type Subscriber = Readonly<{
  transport: 'ws' | 'tcp'
  channels: readonly number[]
  /** Not in the latency figures; in the ledger all the same. */
  aside?: boolean
}>

/** Which subscribers: `share` of all, chosen by the seed, or the ones from–to (exclusive). */
export type Chosen = Readonly<{ share: number }> | Readonly<{ from: number; to: number }>

/** What one phase gave. */
export type Span = Readonly<{
  seconds: number
  sent: number
  delivered: number
  serverCpuUs?: number
  /** At its end. */
  serverBytes?: number
}>

/** What one measured phase gave. */
export type Window = Span &
  Readonly<{
    /** Of what was due in it and has come; whole after drain(). */
    latency: () => Promise<LatencySummaries>
  }>

/** The relay's own figures at one moment: the sum of a metric's samples, 0 where it has none. */
export type Metrics = (name: string, label?: string) => number

export type Stage = Readonly<{
  load: Load
  /** In [0, 1), from the seed. */
  random: () => number
  /** Connects and subscribes these; all at once, as fast as they get in. Phase `connect`. */
  connect: (subscribers: readonly Subscriber[]) => Promise<Readonly<{ tookMs: number; failed: number }>>
  /** A phase that is not measured: so many seconds, or as long as it takes; the series goes on. */
  quiet: (
    phase: string,
    seconds: number,
    options?: Readonly<{ while?: () => Promise<void> }>,
  ) => Promise<Span>
  /** Nothing but waiting, within whatever phase there is. */
  wait: (seconds: number) => Promise<void>
  /** Begins to publish at the load's rate (or this one) to all channels in turn; runs on until stopPublishing. */
  publish: (options?: Readonly<{ rate?: number; channels?: readonly number[] }>) => Promise<void>
  stopPublishing: () => Promise<void>
  /** Publications due within it make the latency figures. `main`: this window gives the result's figures. */
  measure: (
    phase: string,
    seconds: number,
    options?: Readonly<{ main?: boolean; while?: () => Promise<void> }>,
  ) => Promise<Window>
  /** Waits until everything owed has come, or nothing more has come for a while. */
  drain: () => Promise<void>
  /** Chosen subscribers stop reading their sockets, and read on. */
  pause: (chosen: Chosen) => Promise<number>
  resume: (chosen: Chosen) => Promise<void>
  /** All connections of the chosen are cut at once, without a goodbye. */
  cut: (chosen: Chosen) => Promise<number>
  /** They connect and subscribe again, asking for recovery from where they were; resolves when all are back. */
  reconnect: (chosen: Chosen) => Promise<Reconnected>
  /** So many subscribers a second leave and come again (whole connections, or only subscriptions). Until stopped. */
  churn: (
    options: Readonly<{ chosen: Chosen; connectionsPerSecond: number; subscriptionsPerSecond: number }>,
  ) => Promise<void>
  stopChurn: () => Promise<Readonly<{ reconnects: number; resubscriptions: number; failed: number }>>
  /**
   * When a server ends connections by itself, they reconnect with recovery, as SDKs do. Resolves with those that came
   * back since it was last called; when it is turned off, those on their way are waited for.
   */
  reconnectWhenEnded: (on: boolean) => Promise<Reconnected>
  /** Undefined where the relay's metrics can't be had. A label is written as on the page: `code="3008"`. */
  metrics: () => Promise<Metrics | undefined>
  /** The relay's process, where it is ours. */
  relay: OwnRelay | undefined
  find: (finding: Finding) => void
  /** A fault that the ledger can't see. */
  fault: (text: string) => void
  remark: (text: string) => void
  /** What has been measured so far. */
  series: () => RunResult['series']
}>

export type Reconnected = Readonly<{
  count: number
  /** Subscriptions that were answered `recovered: true`, and others. */
  recovered: number
  notRecovered: number
  failed: number
  /** From the cut to the subscription of the half, of nearly all and of the last. */
  p50Ms: number
  p99Ms: number
  allMs: number
}>

export type OwnRelay = Readonly<{
  pid: number
  /** Histories outlast a stop in order, so that clients recover across it. */
  keepsHistories: boolean
  /** SIGTERM; resolves with the exit code and how long it took. */
  terminate: () => Promise<Readonly<{ code: number | null; tookMs: number }>>
  /** Starts it again with the same configuration on the same ports. */
  start: () => Promise<void>
}>
