// The publisher by the server API: counts are exact and channels in order, whatever the server answers, or doesn't.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { nowUs } from '../../../load/generator/clock.ts'
import { dueBy } from '../../../load/generator/pace.ts'
import type { Endpoint } from '../../../load/generator/requests.ts'
import { startTestRelay } from '../../support/relay.ts'
import { until } from '../../support/serving.ts'
import {
  countOf,
  createPublishing,
  DIALECT,
  endpointOf,
  fixedPorts,
  KEPT,
  oneTo,
  owedOf,
  PREFIX,
  sequenceOf,
  sequencesIn,
} from './publishing.ts'

const CONFIG = { channel: { without_namespace: KEPT } }
const INFO = '{"result":{"nodes":[]}}'

type Answerer = (method: string, body: any, response: ServerResponse, request: IncomingMessage) => void

/** A server API that answers as the test says; `info` it answers as a relay does. */
async function startApi(answer: Answerer): Promise<Endpoint> {
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const method = request.url!.split('/').at(-1)!
    if (method === 'info') response.end(INFO)
    else answer(method, JSON.parse(text), response, request)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { dialect: DIALECT, api: `http://127.0.0.1:${port}/api`, sources: [], channelPrefix: PREFIX }
}

describe('to a relay', () => {
  test('every publication is acknowledged, and each channel has them in order', async () => {
    const relay = await startTestRelay(CONFIG)
    const publishing = await createPublishing({ by: 'api', endpoint: endpointOf(relay), publishers: 2 })
    await publishing.ask({ kind: 'open' })
    await publishing.start(5000, [0, 1, 2])
    const { sentTotal, acknowledgedTotal, refusedTotal, unknownTotal, waiting, errors } =
      await publishing.stopAfter(3000)
    expect(acknowledgedTotal).toBe(sentTotal)
    expect([refusedTotal, unknownTotal, waiting, errors]).toEqual([0, 0, 0, {}])
    const { channels } = await publishing.ends()
    expect(channels.reduce((sum, { last }) => sum + last, 0)).toBe(sentTotal)
    for (const { channel, last, exceptions } of channels) {
      expect(exceptions).toEqual([])
      expect(await sequencesIn(relay, channel)).toEqual(oneTo(last))
    }
    await relay.stop()
  })

  test('a window has as many in its figures as were due in it', async () => {
    const relay = await startTestRelay()
    const publishing = await createPublishing({ by: 'api', endpoint: endpointOf(relay), publishers: 1 })
    await publishing.ask({ kind: 'open' })
    const stretch = { startUs: nowUs() + 20_000, rate: 2000, channels: [0, 1] }
    const [fromUs, toUs] = [stretch.startUs + 100_000.5, stretch.startUs + 400_000.5]
    await publishing.ask({ kind: 'window', id: 7, fromUs })
    await publishing.ask({ kind: 'start', ...stretch })
    await publishing.ask({ kind: 'window', id: 7, fromUs, toUs })
    await until(() => nowUs() > toUs)
    await publishing.ask({ kind: 'stop' })
    const [window] = (await publishing.ends()).windows
    const due = dueBy(stretch, toUs) - dueBy(stretch, fromUs)
    expect(due).toBe(600)
    expect(window).toMatchObject({ id: 7, sent: due })
    expect([countOf(window!.lateness), countOf(window!.acknowledgement)]).toEqual([due, due])
    await relay.stop()
  })

  test('an unknown namespace is refused, each publication of it', async () => {
    const relay = await startTestRelay()
    const endpoint = { ...endpointOf(relay), channelPrefix: 'nobody:' }
    const publishing = await createPublishing({ by: 'api', endpoint })
    await publishing.ask({ kind: 'open' })
    await publishing.start(1000, [0, 1])
    const { sentTotal, refusedTotal, errors } = await publishing.stopAfter(100)
    expect(refusedTotal).toBe(sentTotal)
    expect(errors).toEqual({ '102 unknown channel': sentTotal })
    for (const { last, exceptions } of (await publishing.ends()).channels)
      expect(exceptions).toEqual([[1, last]])
    await relay.stop()
  })

  test('a wrong key and a wrong address are said at once', async () => {
    const relay = await startTestRelay()
    const endpoint = endpointOf(relay)
    const wrongKey = await createPublishing({ by: 'api', endpoint: { ...endpoint, apiKey: 'wrong' } })
    await expect(wrongKey.ask({ kind: 'open' })).rejects.toThrow(
      /\/api\/info answered HTTP 401: 101 unauthorized/,
    )
    const wrongPath = await createPublishing({
      by: 'api',
      endpoint: { ...endpoint, api: `${endpoint.api}/x` },
    })
    await expect(wrongPath.ask({ kind: 'open' })).rejects.toThrow(/\/api\/x\/info answered HTTP 404/)
    await relay.stop()
    const nobody = await createPublishing({ by: 'api', endpoint })
    await expect(nobody.ask({ kind: 'open' })).rejects.toThrow(
      `can't reach the server API at ${endpoint.api}/info: ECONNREFUSED`,
    )
  })

  test('when it is killed and comes back, publishing goes on in order, and what had no answer is an exception', async () => {
    const config = { ...CONFIG, ...(await fixedPorts()) }
    const first = await startTestRelay(config)
    const publishing = await createPublishing({ by: 'api', endpoint: endpointOf(first), publishers: 1 })
    await publishing.ask({ kind: 'open' })
    await publishing.start(2000, [0, 1])
    await until(async () => (await publishing.progress()).acknowledgedTotal >= 200)
    first.process.kill('SIGKILL')
    await once(first.process, 'exit')
    await until(async () => (await publishing.progress()).waiting >= 50)
    const { acknowledgedTotal } = await publishing.progress()
    const second = await startTestRelay(config)
    await until(async () => (await publishing.progress()).acknowledgedTotal >= acknowledgedTotal + 500)
    const after = await publishing.stopAfter(0)
    // While it starts, the relay answers 503.
    expect(after.acknowledgedTotal + after.refusedTotal + after.unknownTotal).toBe(after.sentTotal)
    expect(Object.keys(after.errors)).toContain('no connection: ECONNREFUSED')
    for (const end of (await publishing.ends()).channels) {
      // The new relay has nothing of the time before; from its first on it has all that is no exception.
      const kept = await sequencesIn(second, end.channel)
      expect(kept).toEqual(owedOf(end).filter(number => number >= kept[0]!))
    }
    await second.stop()
  })
})

describe('to a server that does not only answer well', () => {
  test('what waits behind a request follows as batches of at most 100, in order', async () => {
    const requests: number[][] = []
    const held: (() => void)[] = []
    const endpoint = await startApi((method, body, response) => {
      const publications = method === 'batch' ? body.commands.map((one: any) => one.publish) : [body]
      requests.push(publications.map(({ data }: { data: string }) => sequenceOf(data)))
      const reply = { publish: {} }
      const answer = method === 'batch' ? { replies: publications.map(() => reply) } : { result: {} }
      const send = () => response.end(JSON.stringify(answer))
      if (requests.length === 1) held.push(send)
      else send()
    })
    const publishing = await createPublishing({ by: 'api', endpoint, publishers: 1 })
    await publishing.ask({ kind: 'open' })
    await publishing.start(5000, [0])
    await until(async () => requests.length > 0 && (await publishing.progress()).waiting >= 250)
    expect(requests).toHaveLength(1)
    held[0]!()
    const { sentTotal, acknowledgedTotal } = await publishing.stopAfter(500)
    expect(acknowledgedTotal).toBe(sentTotal)
    expect(requests.flat()).toEqual(oneTo(sentTotal))
    expect([requests[1]!.length, requests[2]!.length]).toEqual([100, 100])
  })

  test('exactly what is refused in a batch is an exception', async () => {
    const endpoint = await startApi((method, body, response) => {
      const publications = method === 'batch' ? body.commands.map((one: any) => one.publish) : [body]
      const replies = publications.map((one: any) =>
        sequenceOf(one.data) % 3 === 0
          ? { error: { code: 111, message: 'too many requests' } }
          : { result: {} },
      )
      response.end(JSON.stringify(method === 'batch' ? { replies } : replies[0]))
    })
    const publishing = await createPublishing({ by: 'api', endpoint, publishers: 2 })
    await publishing.ask({ kind: 'open' })
    await publishing.start(3000, [0, 1])
    const { refusedTotal, errors } = await publishing.stopAfter(600)
    let refused = 0
    for (const { last, exceptions } of (await publishing.ends()).channels) {
      const thirds = oneTo(last).filter(number => number % 3 === 0)
      expect(exceptions).toEqual(thirds.map(number => [number, number]))
      refused += thirds.length
    }
    expect(refusedTotal).toBe(refused)
    expect(errors).toEqual({ '111 too many requests': refused })
  })

  test('a connection that ends without an answer leaves its publications unknown, and the next go on', async () => {
    let requests = 0
    const endpoint = await startApi((method, body, response, request) => {
      if (++requests === 2) request.socket.resetAndDestroy()
      else
        response.end(method === 'batch' ? JSON.stringify({ replies: body.commands.map(() => ({})) }) : '{}')
    })
    const publishing = await createPublishing({ by: 'api', endpoint, publishers: 1 })
    await publishing.ask({ kind: 'open' })
    await publishing.start(1000, [0])
    // A machine that is held up may put all that is due into the first request.
    await until(async () => requests > 3)
    const { sentTotal, acknowledgedTotal, unknownTotal } = await publishing.stopAfter(50)
    expect(unknownTotal).toBeGreaterThan(0)
    expect(acknowledgedTotal + unknownTotal).toBe(sentTotal)
    const [{ exceptions }] = (await publishing.ends()).channels as any
    expect(exceptions).toHaveLength(1)
    expect(exceptions[0][1] - exceptions[0][0] + 1).toBe(unknownTotal)
  })

  test('what has no answer when the lanes are closed is unknown', async () => {
    const endpoint = await startApi(() => {})
    const publishing = await createPublishing({ by: 'api', endpoint, publishers: 1 })
    await publishing.ask({ kind: 'open' })
    await publishing.start(1000, [0])
    await until(async () => (await publishing.progress()).waiting > 0)
    await publishing.ask({ kind: 'close' })
    const { sentTotal, unknownTotal, waiting } = await publishing.progress()
    expect([unknownTotal, waiting]).toEqual([sentTotal, 0])
    expect((await publishing.ends()).channels[0]!.exceptions).toEqual([[1, sentTotal]])
  })

  test('connections come from the given addresses, in turn', async () => {
    const addresses: (string | undefined)[] = []
    const endpoint = await startApi((_, body, response, request) => {
      addresses.push(request.socket.remoteAddress)
      response.end(
        JSON.stringify(body.commands === undefined ? {} : { replies: body.commands.map(() => ({})) }),
      )
    })
    const sources = ['127.0.0.2', '127.0.0.3']
    const publishing = await createPublishing({
      by: 'api',
      endpoint: { ...endpoint, sources },
      publishers: 2,
    })
    await publishing.ask({ kind: 'open' })
    await publishing.start(1000, [0, 1])
    const { acknowledgedTotal, sentTotal } = await publishing.stopAfter(20)
    expect(acknowledgedTotal).toBe(sentTotal)
    expect([...new Set(addresses)].sort()).toEqual(sources)
  })
})
