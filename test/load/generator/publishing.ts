// What tests of the publisher share: a publisher in this process, and how it is run until so much was sent.

import { onTestFinished } from 'vitest'
import { nowUs } from '../../../load/generator/clock.ts'
import { createPublisher } from '../../../load/generator/publisher.ts'
import type {
  Endpoint,
  PublisherData,
  PublisherEnds,
  PublisherProgress,
  PublisherRequest,
} from '../../../load/generator/requests.ts'
import type { TestRelay } from '../../support/relay.ts'
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
    seed: 1,
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

/** The sequence numbers in a channel's history, oldest first. */
export async function sequencesIn(relay: TestRelay, channel: number): Promise<number[]> {
  const { body } = await relay.api('history', { channel: `${PREFIX}${channel}`, limit: -1 })
  return body.result.publications.map(({ data }: { data: string }) => Number(data.slice(10, 20)))
}

export function oneTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1)
}
