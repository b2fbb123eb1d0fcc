// What a run is asked for and what comes out of it: the options of the command line and the JSON of load/results.
// Types only. Invariant: whoever reads a result needs nothing but this file; a change of shape raises RESULT_SCHEMA.

export const RESULT_SCHEMA = 1

export type Transport = 'ws' | 'tcp' | 'mixed'
export type PublishBy = 'api' | 'client'

/** The load that a scenario puts on. A scenario gives its defaults, the command line overrides them. */
export type Load = Readonly<{
  subscribers: number
  channels: number
  /** Publications a second over all channels. */
  rate: number
  /** Bytes of a publication's data, as JSON text. */
  size: number
  /** Seconds of the measured phase; of each, where there are several. */
  durationS: number
  transport: Transport
  publish: PublishBy
  /** Connections that publish. A channel is published to by one of them only, so that its order is known. */
  publishers: number
  /** Worker threads that receive. */
  receivers: number
  /** Local addresses to connect from, in turn; empty: the system's choice. */
  sources: readonly string[]
  /** All random choices come from it. */
  seed: number
}>

/** Microseconds, unless said otherwise. */
export type LatencySummary = Readonly<{
  count: number
  minUs: number
  p50Us: number
  p90Us: number
  p99Us: number
  p999Us: number
  maxUs: number
  /** Points of the distribution for a plot: [percentile 0–100, microseconds], ascending. */
  distribution: ReadonlyArray<readonly [percentile: number, us: number]>
}>

export type LatencySummaries = Readonly<{
  /** Every recipient of every publication, from its intended send time to the read of the receiver's socket. */
  all: LatencySummary
  /** Of each publication that reached all its recipients: the first one's and the last one's. */
  first: LatencySummary
  last: LatencySummary
}>

/** What came and what did not. Counted over the whole run, warm-up included. */
export type DeliveryCounts = Readonly<{
  /** Deliveries that acknowledged publications owe to their subscribers. */
  expected: number
  /** Distinct publications that came, over all subscriptions; without duplicates. */
  delivered: number
  /** Owed, did not come, and nobody said so. */
  lost: number
  /** Owed, did not come, but the subscriber was told (recovered: false, a new epoch, unsubscribe 2500). */
  toldLost: number
  duplicated: number
  /** Came after a later one of the same channel. */
  outOfOrder: number
  /** Delivered by the answer to a resubscription. */
  recovered: number
  /** Subscriptions that missed more pieces than are kept: what was left out counts as lost, whatever became of it. */
  overflowed: number
  /** Bytes with our mark that could not be read as a publication of this run. */
  unreadable: number
}>

export type LedgerTotals = DeliveryCounts &
  Readonly<{
    /** Publications that were due and handed to a publisher's connection. */
    sent: number
    acknowledged: number
    /** Answered with an error: not to be delivered. */
    refused: number
    /** Not answered when the connection ended: may have been delivered or not. */
    unknown: number
  }>

export type ThreadUse = Readonly<{
  /** For instance `receiver 0`. */
  name: string
  /** 0–1, mean over the measured phases, and of the busiest second. */
  utilization: number
  utilizationMax: number
  /** Of the event loop. */
  delayP99Us: number
  delayMaxUs: number
  /** Share of the time in which the thread could run but had no core; undefined where the system doesn't tell. */
  waitedForCore?: number
}>

export type Interval = Readonly<{
  /** End of the interval, seconds since the run began. */
  atS: number
  phase: string
  connections: number
  publishesPerSecond: number
  deliveriesPerSecond: number
  p50Us: number
  p99Us: number
  maxUs: number
  /** Cores in use (1 = one whole core); absent where it is not known. */
  serverCores?: number
  serverBytes?: number
  generatorCores: number
  generatorBytes: number
}>

export type Phase = Readonly<{ name: string; fromS: number; toS: number; measured: boolean }>

/** One line of the table that is this scenario's own. */
export type Finding = Readonly<{
  /** Stable key, by which two results are compared. */
  key: string
  label: string
  value: number
  unit: 'us' | 'ms' | 's' | 'bytes' | 'bytes/s' | '1/s' | 'count' | 'ratio' | 'share' | 'cores'
  /** Which way is better; absent: neither. */
  better?: 'lower' | 'higher'
  note?: string
}>

export type ExitCode = 0 | 1 | 3

export type Verdict = Readonly<{
  /** 0 clean; 1 lost, duplicated or reordered where the scenario promises none; 3 the generator was the limit. */
  exitCode: ExitCode
  headline: string
  /** Everything that speaks against a clean run, most important first. */
  faults: readonly string[]
  /** Why the generator was the limit. */
  generatorLimits: readonly string[]
  /** False when the generator was the limit. */
  latencyValid: boolean
  /** Worth knowing, but no fault. */
  remarks: readonly string[]
}>

export type Machine = Readonly<{
  cpu: string
  cores: number
  memoryBytes: number
  system: string
  node: string
}>

export type Target = Readonly<{
  kind: 'own' | 'deployed' | 'peer'
  name: string
  version?: string
  url: string
  /** Of the project, where it is the own relay and git can tell. */
  revision?: string
}>

export type Offered = Readonly<{
  /** Asked for, and really sent, in the measured phases. */
  wantedPerSecond: number
  sentPerSecond: number
  /** How late publications left, after they were due. */
  latenessP99Us: number
  latenessMaxUs: number
  /** From intended time to the answer. */
  acknowledgement: LatencySummary
}>

export type ServerUse = Readonly<{
  /** Cores in use, mean of the measured phases. */
  cores: number
  cpuUsPerDelivery: number
  bytesBefore: number
  bytesMax: number
  bytesAfter: number
  /** How busy each shard's loop was, 0–1; absent where the server doesn't tell. */
  shardUtilizations?: readonly number[]
}>

export type RunResult = Readonly<{
  schema: typeof RESULT_SCHEMA
  scenario: string
  question: string
  /** ISO 8601. */
  startedAt: string
  tookS: number
  command: string
  /** It was stopped before its end: the rest is what there was until then. */
  interrupted?: true
  load: Load
  target: Target
  machine: Machine
  verdict: Verdict
  ledger: LedgerTotals
  latency: LatencySummaries
  offered: Offered
  deliveriesPerSecond: number
  /** Absent where the server's process can't be seen. */
  server?: ServerUse
  generator: Readonly<{ cores: number; bytesMax: number; threads: readonly ThreadUse[] }>
  phases: readonly Phase[]
  series: readonly Interval[]
  findings: readonly Finding[]
}>

/** What `--repeat N` writes: the runs in the order in which they were made, all with the same options. */
export type RepeatedRuns = Readonly<{ schema: typeof RESULT_SCHEMA; runs: readonly RunResult[] }>
