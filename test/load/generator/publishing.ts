// What tests of the publisher share: a publisher in this process, and how it is run until so much was sent.

import { onTestFinished } from 'vitest'
import { nowUs } from '../../../load/generator/clock.ts'
import { createPublisher } from '../../../load/generator/publisher.ts'
import type {
  ChannelEnd,
  Endpoint,
  PublisherData,
  PublisherEnds,
  PublisherProgress,
  PublisherRequest,
} from '../../../load/generator/requests.ts'
import { createHistogram } from '../../../load/ledger/histogram.ts'
import { lastingPorts } from '../../../load/target/ports.ts'
import { OPEN_CHANNELS, type TestRelay } from '../../support/relay.ts'
import { until } from '../../support/serving.ts'

export const DIALECT = new URL('../../../load/generator/fanwire.ts', import.meta.url).href
export const PREFIX = 'run-'

export type Publishing = Readonly<{
  ask: (request: PublisherRequest) => Promise<unknown>
  progress: () => Promise<PublisherProgress>
  ends: () => Promise<PublisherEnds>
  /** Begins a stretch that starts now. */
  start: (rate: number, channels: readonly number[]) => Promise<void>
  /** Waits until so many are sent since the run began, then stops. */
  stopAfter: (sent: number) => Promise<PublisherProgress>
}>

export function endpointOf(relay: Pick<TestRelay, 'ports' | 'websocketUrl'>): Endpoint {
  return {
    dialect: DIALECT,
    websocket: relay.websocketUrl,
    tcp: { host: '127.0.0.1', port: relay.ports.tcp },
    api: `http://127.0.0.1:${relay.ports.http}/api`,
    apiKey: 'test-key',
    sources: [],
    channelPrefix: PREFIX,
  }
}

export async function createPublishing(
  data: Pick<PublisherData, 'endpoint' | 'by'> & Partial<PublisherData>,
): Promise<Publishing> {
  const publisher = await createPublisher({
    role: 'publisher',
    size: 64,
    publishers: 2,
    transport: 'ws',
    ...data,
  })
  const ask = async (request: PublisherRequest) => publisher.answer(request)
  const progress = () => ask({ kind: 'progress' }) as Promise<PublisherProgress>
  onTestFinished(() => ask({ kind: 'close' }) as Promise<void>)
  return {
    ask,
    progress,
    ends: () => ask({ kind: 'ends' }) as Promise<PublisherEnds>,
    start: (rate, channels) => ask({ kind: 'start', startUs: nowUs(), rate, channels }) as Promise<void>,
    async stopAfter(sent) {
      await until(async () => (await progress()).sentTotal >= sent)
      await ask({ kind: 'stop' })
      return progress()
    },
  }
}

/** Has room for all that a test sends, however slow the machine is. */
export const KEPT = { ...OPEN_CHANNELS, history_size: 1_000_000, history_ttl: '10m' }

/** Ports for a relay that is to come back on them, as sections of its configuration. */
export async function fixedPorts(): Promise<Record<'http_server' | 'tcp', { port: number }>> {
  const [http, tcp] = await lastingPorts(2)
  return { http_server: { port: http! }, tcp: { port: tcp! } }
}

/** The sequence numbers in a channel's history, oldest first. */
export async function sequencesIn(relay: TestRelay, channel: number): Promise<number[]> {
  const sequences: number[] = []
  for (let since = { offset: 0, epoch: '' }; ; ) {
    const request = { channel: `${PREFIX}${channel}`, limit: -1, since }
    const { publications, epoch, offset } = (await relay.api('history', request)).body.result
    for (const { data } of publications) sequences.push(sequenceOf(data))
    const last = publications.at(-1)?.offset ?? offset
    if (last >= offset) return sequences
    since = { offset: last, epoch }
  }
}

/** Of a payload's text; see generator/payload.ts. */
export function sequenceOf(data: string): number {
  return Number(data.slice(10, 20))
}

/** How many values a histogram has. */
export function countOf(bytes: Uint8Array): number {
  const histogram = createHistogram()
  histogram.addBytes(bytes)
  return histogram.count()
}

export function oneTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1)
}

/** Sequence numbers that are no exceptions. */
export function owedOf({ last, exceptions }: ChannelEnd): number[] {
  return oneTo(last).filter(number => !exceptions.some(([from, to]) => number >= from && number <= to))
}
