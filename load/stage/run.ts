// A run as it goes on: its threads, phases, windows and books. Main thread. A scenario sees it as a Stage (stage.ts).
// Invariant: whatever is waited for ends with the run's first trouble; every second is in the series.

import { setTimeout as sleep } from 'node:timers/promises'
import { LoadError } from '../errors.ts'
import { nowUs } from '../generator/clock.ts'
import type { ChannelEnd, Connected, PublisherEnds, ReceiverFinish, Use } from '../generator/requests.ts'
import { measureUse } from '../generator/self.ts'
import { type Histogram, histogramFrom } from '../ledger/histogram.ts'
import type { Extremes } from '../ledger/recipients.ts'
import type { Finding, Interval, Load } from '../model.ts'
import { createRandom } from '../random.ts'
import type { Span, Subscriber, Window } from '../scenario.ts'
import { shardUtilizations } from '../target/prometheus.ts'
import type { RunningTarget, Used } from '../target/target.ts'
import { Columns } from './columns.ts'
import { Fleet, type FleetProgress } from './fleet.ts'
import { Series, type Totals } from './series.ts'
import { Ticker } from './ticker.ts'
import { Trouble } from './trouble.ts'
import { Uses } from './use.ts'

export type RunSetup = Readonly<{
  target: RunningTarget
  load: Load
  channelPrefix: string
  /** Told after each sample. */
  watch: (interval: Interval) => void
}>

/** A measured phase that has begun. */
type OpenWindow = Readonly<{
  id: number
  main: boolean
  /** Publications due in [fromUs, toUs) belong to it. */
  fromUs: number
  /** Publications a second that were asked for. */
  rate: number
  extremes: Extremes
  before: Totals
}>

/** A measured phase that is over. */
export type Measured = OpenWindow & Readonly<{ toUs: number; after: Totals }>

export type Books = Readonly<{
  receivers: readonly ReceiverFinish[]
  ends: PublisherEnds | undefined
  /** The last that was heard. */
  progress: FleetProgress | undefined
}>

const SAMPLE_EVERY_MS = 1000
/** A window is announced so long before it begins or ends, so that all threads know in time. */
const LEAD_US = 250_000
const DRAIN_POLL_MS = 100
const DRAIN_SILENCE_MS = 3000
const DRAIN_TIMEOUT_MS = 30_000
/** Without a single connection for so long a run is over, unless the scenario itself cut them. */
const DESERTED_MS = 10_000
/** The same where clients come back by themselves. */
const DESERTED_RECONNECTING_MS = 60_000
/** Shards are asked for every so many samples: a scrape costs the relay some milliseconds. */
const SHARDS_EVERY = 5
/** Distinct codes of ends; a server may say any number. */
const CODES_MAX = 64
const OTHER_CODES = 'others'
/** What lies between two phases that have names. */
const BETWEEN = 'between'

export class Run {
  readonly load: Load
  readonly random: () => number
  readonly target: RunningTarget
  readonly fleet: Fleet
  readonly series: Series
  readonly trouble = new Trouble()
  readonly uses = new Uses()
  readonly measured: Measured[] = []
  readonly findings: Finding[] = []
  readonly faults: string[] = []
  readonly remarks: string[] = []
  /** Connections that the server ended or that were lost: code → how often. */
  readonly ended = new Map<string, number>()
  readonly shards = new Columns()
  /** Publications that were due and waited for the server, at most, while it was measured. */
  waitingMax = 0
  serverBytesFirst: number | undefined
  /** The scenario took the connections away itself. */
  cutOff = false
  clientsReturn = false
  readonly #watch: (interval: Interval) => void
  readonly #ticker = new Ticker(SAMPLE_EVERY_MS, () => this.#sample())
  readonly #ownUse: () => Use = measureUse()
  #progress: FleetProgress | undefined
  #used: Used = { cpuUs: undefined, bytes: undefined }
  #generatorCpu = process.cpuUsage()
  #connected = 0
  #desertedMs: number | undefined
  #samples = 0
  #publishing = false
  #stopped: Promise<unknown> = Promise.resolve()
  #rate = 0
  #open: OpenWindow | undefined

  constructor({ target, load, channelPrefix, watch }: RunSetup) {
    this.load = load
    this.random = createRandom(load.seed)
    this.target = target
    this.#watch = watch
    this.series = new Series(nowUs())
    this.fleet = new Fleet({ ...target.endpoint, sources: load.sources, channelPrefix }, load, this.random)
    for (const { failed } of [target, ...this.fleet.threads]) failed.catch(error => this.trouble.raise(error))
  }

  async open(): Promise<void> {
    this.#used = await this.target.use()
    this.serverBytesFirst = this.#used.bytes
    this.#ticker.begin()
    await this.wait(this.fleet.publisher?.ask({ kind: 'open' }) ?? Promise.resolve())
  }

  wait<T>(promise: Promise<T>): Promise<T> {
    return this.trouble.race(promise)
  }

  /** The phase before ends here. */
  async begin(name: string, isMeasured: boolean, seconds?: number): Promise<void> {
    await this.wait(this.#ticker.now())
    this.series.begin(name, isMeasured)
    this.#ticker.begin(seconds === undefined ? undefined : performance.now() + seconds * 1000)
  }

  async quiet(
    phase: string,
    seconds: number,
    { while: during }: { while?: () => Promise<void> } = {},
  ): Promise<Span> {
    const endUs = nowUs() + seconds * 1e6
    await this.begin(phase, false, during === undefined ? seconds : undefined)
    const before = this.series.totals
    await Promise.all([this.#until(endUs), during === undefined ? undefined : this.wait(during())])
    await this.wait(this.#ticker.now())
    return this.#toSpan(before, this.series.totals)
  }

  async connect(subscribers: readonly Subscriber[]): Promise<{ tookMs: number; failed: number }> {
    await this.begin('connect', false)
    const answers = await this.wait(this.fleet.connect(subscribers))
    const connected = answers.reduce((count, answer) => count + answer.connected, 0)
    const failed = answers.reduce((count, answer) => count + answer.failed, 0)
    this.#connected += connected
    if (failed > 0) {
      const text = `${failed} of ${subscribers.length} subscribers could not connect and subscribe: ${reasons(answers)}`
      if (connected === 0) throw new LoadError(text)
      this.faults.push(text)
    }
    await this.begin(BETWEEN, false)
    return { tookMs: Math.max(...answers.map(answer => answer.tookMs)), failed }
  }

  async publish(rate: number, channels: readonly number[]): Promise<void> {
    const { publisher } = this.fleet
    if (publisher === undefined) throw new LoadError('this scenario publishes nothing: its rate is 0')
    this.#publishing = true
    this.#rate = rate
    await this.wait(publisher.ask({ kind: 'start', startUs: nowUs() + LEAD_US, rate, channels }))
  }

  async stopPublishing(): Promise<void> {
    if (this.#publishing) {
      this.#publishing = false
      this.#rate = 0
      this.#stopped = this.fleet.publisher!.ask({ kind: 'stop' })
    }
    // Also when an interruption came while it was waited for: until then answers are missing in the books.
    await this.wait(this.#stopped)
  }

  async measure(
    phase: string,
    seconds: number,
    { main = false, while: during }: { main?: boolean; while?: () => Promise<void> } = {},
  ): Promise<Window> {
    const id = this.measured.length + 1
    const fromUs = nowUs() + LEAD_US
    const endUs = fromUs + seconds * 1e6
    const known = during === undefined ? { toUs: endUs } : {}
    const extremes = await this.wait(this.fleet.announce({ id, fromUs, ...known }))
    await this.#until(fromUs)
    await this.begin(phase, true, during === undefined ? seconds : undefined)
    const open = { id, main, fromUs, extremes, rate: this.#rate, before: this.series.totals }
    this.#open = open
    await Promise.all([this.#until(endUs), during === undefined ? undefined : this.wait(during())])
    const over = await this.#closeWindow(open, during === undefined ? endUs : nowUs() + LEAD_US)
    return this.#toWindow(over)
  }

  async #closeWindow(open: OpenWindow, toUs: number): Promise<Measured> {
    await this.wait(this.fleet.announce({ id: open.id, fromUs: open.fromUs, toUs }))
    await this.#until(toUs)
    await this.begin(BETWEEN, false)
    const over = { ...open, toUs, after: this.series.totals }
    this.#open = undefined
    this.measured.push(over)
    return over
  }

  #toWindow({ id, before, after, extremes }: Measured): Window {
    return {
      ...this.#toSpan(before, after),
      latency: async () => {
        const { first, last } = extremes
        return { all: (await this.latencyOf([id])).summary(), first: first.summary(), last: last.summary() }
      },
    }
  }

  #toSpan(before: Totals, after: Totals): Span {
    const cpuUs = difference(after.serverCpuUs, before.serverCpuUs)
    const bytes = this.#used.bytes
    return {
      seconds: (after.atUs - before.atUs) / 1e6,
      sent: after.sent - before.sent,
      delivered: after.deliveries - before.deliveries,
      ...(cpuUs === undefined ? {} : { serverCpuUs: cpuUs }),
      ...(bytes === undefined ? {} : { serverBytes: bytes }),
    }
  }

  /** Of all recipients, over these windows. */
  async latencyOf(ids: readonly number[]): Promise<Histogram> {
    const windows = await this.wait(this.fleet.askReceivers({ kind: 'windows' }))
    const parts = windows.flat().filter(([id]) => ids.includes(id))
    return histogramFrom(...parts.map(([, latency]) => latency))
  }

  /** After ^C the books can still be closed: what was being measured ends now. */
  async interrupt(): Promise<void> {
    this.trouble.clear()
    if (this.#open !== undefined) await this.#closeWindow(this.#open, nowUs())
  }

  async drain(): Promise<void> {
    await this.begin('drain', false)
    const most = this.#mostDeliveries((await this.#ends())?.channels ?? [])
    const startMs = performance.now()
    let newestMs = startMs
    let delivered = -1
    for (;;) {
      await this.wait(this.#ticker.now())
      const now = this.#progress?.deliveredTotal ?? 0
      const nowMs = performance.now()
      if (now > delivered) newestMs = nowMs
      delivered = now
      const over = nowMs - newestMs >= DRAIN_SILENCE_MS || nowMs - startMs >= DRAIN_TIMEOUT_MS
      if (delivered >= most || over) break
      await this.pause(DRAIN_POLL_MS)
    }
    await this.begin(BETWEEN, false)
  }

  /** Ends what is still going on and closes the books. */
  async close(): Promise<Books> {
    await this.stopPublishing()
    await this.begin('end', false)
    this.#ticker.pause()
    const ends = await this.#ends()
    const receivers = await this.wait(
      this.fleet.askReceivers({ kind: 'finish', channels: ends?.channels ?? [] }),
    )
    return { receivers, ends, progress: this.#progress }
  }

  /** The threads end, and with them all connections. */
  async stop(): Promise<void> {
    this.#ticker.pause()
    await this.fleet.stop()
  }

  get serverBytes(): number | undefined {
    return this.#used.bytes
  }

  #ends(): Promise<PublisherEnds | undefined> {
    return this.wait(this.fleet.publisher?.ask({ kind: 'ends' }) ?? Promise.resolve(undefined))
  }

  /** With exceptions: they may be delivered, too, and must not be taken for others that are still on their way. */
  #mostDeliveries(channels: readonly ChannelEnd[]): number {
    return channels.reduce((sum, { channel, last }) => sum + last * this.fleet.subscribersOf(channel), 0)
  }

  async #until(us: number): Promise<void> {
    await this.pause((us - nowUs()) / 1000)
  }

  /** No timer is left when the trouble comes first: it would keep the process alive. */
  async pause(ms: number): Promise<void> {
    if (ms <= 0) return
    const over = new AbortController()
    try {
      await this.wait(sleep(ms, undefined, { signal: over.signal }))
    } finally {
      over.abort()
    }
  }

  async #sample(): Promise<void> {
    try {
      const [progress, used] = await Promise.all([this.fleet.progress(), this.target.use()])
      const cpu = process.cpuUsage(this.#generatorCpu)
      this.#generatorCpu = process.cpuUsage()
      this.series.add({
        atUs: nowUs(),
        connections: progress.connections,
        sent: progress.published?.sent ?? 0,
        deliveries: progress.deliveries,
        latency: progress.latency,
        serverCpuUs: cpuSince(this.#used.cpuUs, used.cpuUs),
        serverBytes: used.bytes,
        generatorCpuUs: cpu.user + cpu.system,
        generatorBytes: process.memoryUsage.rss(),
      })
      this.#used = used
      this.#progress = progress
      for (const [code, count] of Object.entries(progress.ended)) {
        const key = this.ended.has(code) || this.ended.size < CODES_MAX ? code : OTHER_CODES
        this.ended.set(key, (this.ended.get(key) ?? 0) + count)
      }
      const ownUse = this.#ownUse()
      if (this.series.phase.measured) {
        this.waitingMax = Math.max(this.waitingMax, progress.published?.waiting ?? 0)
        for (const [thread, use] of progress.uses) this.uses.add(thread, use)
        this.uses.add('main', ownUse)
        if (this.#samples++ % SHARDS_EVERY === 0) void this.#sampleShards()
      }
      this.#noticeDesertion(progress.connections)
      this.#watch(this.series.rows.at(-1)!)
    } catch (error) {
      this.trouble.raise(error)
    }
  }

  async #sampleShards(): Promise<void> {
    const page = await this.target.metrics()
    if (page !== undefined) this.shards.add(shardUtilizations(page))
  }

  #noticeDesertion(connections: number): void {
    if (connections > 0 || this.#connected === 0 || this.cutOff) {
      this.#desertedMs = undefined
      return
    }
    const nowMs = performance.now()
    this.#desertedMs ??= nowMs
    const limitMs = this.clientsReturn ? DESERTED_RECONNECTING_MS : DESERTED_MS
    if (nowMs - this.#desertedMs < limitMs) return
    const codes = [...this.ended].map(([code, count]) => `${code} × ${count}`).join(', ')
    this.trouble.raise(
      new LoadError(
        `all ${this.#connected} connections are gone for ${limitMs / 1000} s (${codes || 'lost'})`,
      ),
    )
  }
}

/** Each reason once, the first few. */
function reasons(answers: readonly Connected[]): string {
  const REASONS_MAX = 5
  // Each thread says how often it met a reason; how many failed in all is told already.
  const all = new Set(answers.flatMap(({ errors }) => errors.map(error => error.replace(/ \(\d+×\)$/, ''))))
  const text = [...all].slice(0, REASONS_MAX).join('; ')
  return /error 10[23]\b/.test(text) ? `${text} (of its channels: --prefix says how their names begin)` : text
}

/** A process that was started again begins at 0. */
function cpuSince(before: number | undefined, now: number | undefined): number | undefined {
  if (before === undefined || now === undefined) return undefined
  return now >= before ? now - before : now
}

function difference(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before
}
