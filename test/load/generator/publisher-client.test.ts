// The publisher by client connections: counts are exact and channels in order, over both transports, across losses.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
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
  sequencesIn,
} from './publishing.ts'

const CONFIG = { channel: { without_namespace: KEPT, namespaces: [{ name: 'closed' }] } }

describe.each(['ws', 'tcp'] as const)('over %s', transport => {
  test('every publication is acknowledged, and each channel has them in order', async () => {
    const relay = await startTestRelay(CONFIG)
    const publishing = await createPublishing({ by: 'client', transport, endpoint: endpointOf(relay) })
    await publishing.ask({ kind: 'open' })
    const stretch = { startUs: nowUs() + 20_000, rate: 5000, channels: [0, 1, 2] }
    const [fromUs, toUs] = [stretch.startUs + 100_000.5, stretch.startUs + 400_000.5]
    await publishing.ask({ kind: 'window', id: 1, fromUs, toUs })
    await publishing.ask({ kind: 'start', ...stretch })
    await until(() => nowUs() > toUs)
    const { sentTotal, acknowledgedTotal, refusedTotal, unknownTotal, waiting, errors } =
      await publishing.stopAfter(2500)
    expect(acknowledgedTotal).toBe(sentTotal)
    expect([refusedTotal, unknownTotal, waiting, errors]).toEqual([0, 0, 0, {}])
    const { channels, windows } = await publishing.ends()
    expect(channels.reduce((sum, { last }) => sum + last, 0)).toBe(sentTotal)
    for (const { channel, last, exceptions } of channels) {
      expect(exceptions).toEqual([])
      expect(await sequencesIn(relay, channel)).toEqual(oneTo(last))
    }
    const due = dueBy(stretch, toUs) - dueBy(stretch, fromUs)
    expect([due, windows[0]!.sent]).toEqual([1500, 1500])
    expect([windows[0]!.lateness, windows[0]!.acknowledgement].map(countOf)).toEqual([due, due])
    await relay.stop()
  })

  test('what the relay refuses is an exception, each publication of it', async () => {
    const relay = await startTestRelay(CONFIG)
    const endpoint = { ...endpointOf(relay), channelPrefix: 'closed:' }
    const publishing = await createPublishing({ by: 'client', transport, endpoint })
    await publishing.ask({ kind: 'open' })
    await publishing.start(1000, [0, 1])
    const { sentTotal, refusedTotal, errors } = await publishing.stopAfter(100)
    expect(refusedTotal).toBe(sentTotal)
    expect(errors).toEqual({ 'error 103: permission denied': sentTotal })
    for (const { last, exceptions } of (await publishing.ends()).channels)
      expect(exceptions).toEqual([[1, last]])
    await relay.stop()
  })

  test('large publications go in frames that the relay takes', async () => {
    const relay = await startTestRelay(CONFIG)
    const publishing = await createPublishing({
      by: 'client',
      transport,
      endpoint: endpointOf(relay),
      size: 30_000,
      publishers: 1,
    })
    await publishing.ask({ kind: 'open' })
    // Many are due at once, and are joined.
    await publishing.ask({ kind: 'start', startUs: nowUs() - 400_000, rate: 250, channels: [0] })
    const { sentTotal, acknowledgedTotal, errors } = await publishing.stopAfter(100)
    expect(acknowledgedTotal).toBe(sentTotal)
    expect(errors).toEqual({})
    await relay.stop()
  })

  test('when the relay is killed and comes back, publishing goes on in order, and what had no answer is an exception', async () => {
    const config = { ...CONFIG, ...(await fixedPorts()) }
    const first = await startTestRelay(config)
    const publishing = await createPublishing({ by: 'client', transport, endpoint: endpointOf(first) })
    await publishing.ask({ kind: 'open' })
    await publishing.start(2000, [0, 1, 2])
    await until(async () => (await publishing.progress()).acknowledgedTotal >= 200)
    first.process.kill('SIGKILL')
    await once(first.process, 'exit')
    await until(async () => (await publishing.progress()).waiting >= 50)
    const { acknowledgedTotal } = await publishing.progress()
    const second = await startTestRelay(config)
    await until(async () => (await publishing.progress()).acknowledgedTotal >= acknowledgedTotal + 500)
    const after = await publishing.stopAfter(0)
    expect(after.acknowledgedTotal + after.unknownTotal + after.refusedTotal).toBe(after.sentTotal)
    expect(after.waiting).toBe(0)
    expect(Object.keys(after.errors).filter(text => text.startsWith('connection lost: '))).not.toEqual([])
    for (const end of (await publishing.ends()).channels) {
      // The new relay has nothing of the time before; from its first on it has all that is no exception.
      const kept = await sequencesIn(second, end.channel)
      expect(kept).toEqual(owedOf(end).filter(number => number >= kept[0]!))
    }
    await second.stop()
  })

  test('a server that can not be had is said at once, with its address', async () => {
    const relay = await startTestRelay()
    const endpoint = endpointOf(relay)
    await relay.stop()
    const publishing = await createPublishing({ by: 'client', transport, endpoint })
    const where = transport === 'ws' ? relay.websocketUrl : `127.0.0.1:${relay.ports.tcp} (TCP)`
    await expect(publishing.ask({ kind: 'open' })).rejects.toThrow(
      `can't connect a publisher to ${where}: ECONNREFUSED`,
    )
  })
})

/** A TCP server of the protocol that says yes to connect, and hands over every publish command. */
async function startLines(
  onPublish: (id: number, answer: (line: string) => void, socket: Socket) => void,
  onOpen: (socket: Socket) => void = () => {},
): Promise<Endpoint> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    onOpen(socket)
    let rest = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        const command = JSON.parse(line)
        const answer = (reply: string) => socket.write(`${reply}\n`)
        if (command.connect !== undefined) answer(`{"id":${command.id},"connect":{"client":"x","ping":25}}`)
        else onPublish(command.id, answer, socket)
      }
    })
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { dialect: DIALECT, tcp: { host: '127.0.0.1', port }, sources: [], channelPrefix: PREFIX }
}

describe('to a server that does not only answer well', () => {
  const data = { by: 'client', transport: 'tcp', publishers: 1 } as const

  test('answers may come in another order, and errors between them', async () => {
    const held: (() => void)[] = []
    let commands = 0
    const endpoint = await startLines((id, answer) => {
      const refused = ++commands % 5 === 0
      held.push(() =>
        answer(refused ? `{"id":${id},"error":{"code":111,"message":"no"}}` : `{"id":${id},"publish":{}}`),
      )
      if (held.length >= 7 || commands > 200) for (const one of held.splice(0).reverse()) one()
    })
    const publishing = await createPublishing({ ...data, endpoint })
    await publishing.ask({ kind: 'open' })
    await publishing.start(2000, [0])
    const { sentTotal, refusedTotal, acknowledgedTotal } = await publishing.stopAfter(300)
    const fifths = oneTo(sentTotal).filter(number => number % 5 === 0)
    expect([refusedTotal, acknowledgedTotal]).toEqual([fifths.length, sentTotal - fifths.length])
    expect((await publishing.ends()).channels[0]!.exceptions).toEqual(fifths.map(number => [number, number]))
  })

  test('one that does not answer gets no more than it can keep; the rest waits', async () => {
    const answers: (() => void)[] = []
    let holding = true
    const endpoint = await startLines((id, answer) => {
      const yes = () => answer(`{"id":${id},"publish":{}}`)
      if (holding) answers.push(yes)
      else yes()
    })
    const publishing = await createPublishing({ ...data, endpoint })
    await publishing.ask({ kind: 'open' })
    await publishing.start(5000, [0])
    await until(async () => (await publishing.progress()).waiting > 2000)
    expect((await publishing.progress()).sentTotal).toBe(1024)
    holding = false
    for (const answer of answers) answer()
    const { sentTotal, acknowledgedTotal, waiting } = await publishing.stopAfter(3000)
    expect([acknowledgedTotal, waiting]).toEqual([sentTotal, 0])
  })

  test('it gets no more than it can keep of large ones, and as much again on the next connection', async () => {
    const sockets: Socket[] = []
    const endpoint = await startLines(
      () => {},
      socket => sockets.push(socket),
    )
    const size = 20_000
    const publishing = await createPublishing({ ...data, endpoint, size })
    await publishing.ask({ kind: 'open' })
    await publishing.start(1000, [0])
    // 512 Ki characters, and what stands in the last frame above that.
    const fits = [Math.floor(524_288 / (size + 100)), Math.ceil(524_288 / size) + 2] as const
    for (const connections of [1, 2]) {
      const before = (await publishing.progress()).waiting
      await until(async () => {
        const { sentTotal, waiting } = await publishing.progress()
        return sentTotal >= connections * fits[0] && waiting > before + 50
      })
      expect((await publishing.progress()).sentTotal).toBeLessThanOrEqual(connections * fits[1])
      sockets.at(-1)!.destroy()
    }
  })

  test('what was sent and not answered when the connection ended is unknown, and is not sent again', async () => {
    let commands = 0
    const endpoint = await startLines((id, answer, socket) => {
      if (++commands === 40) socket.resetAndDestroy()
      if (commands < 30 || commands > 40) answer(`{"id":${id},"publish":{}}`)
    })
    const publishing = await createPublishing({ ...data, endpoint })
    await publishing.ask({ kind: 'open' })
    await publishing.start(1000, [0])
    await until(async () => (await publishing.progress()).acknowledgedTotal >= 100)
    const { sentTotal, acknowledgedTotal, unknownTotal } = await publishing.stopAfter(0)
    expect(acknowledgedTotal + unknownTotal).toBe(sentTotal)
    const { exceptions } = (await publishing.ends()).channels[0]!
    expect(exceptions).toHaveLength(1)
    const [from, to] = exceptions[0]!
    expect(to - from + 1).toBe(unknownTotal)
    expect(to).toBeGreaterThanOrEqual(40)
  })

  test('one that does not read gets what its buffers take; the rest waits in bounds, and what is not sent has no number', async () => {
    let reading = false
    const sockets: Socket[] = []
    const endpoint = await startLines(
      () => {},
      socket => {
        sockets.push(socket)
        if (!reading) socket.pause()
      },
    )
    const silent = new URL('./silent-dialect.ts', import.meta.url).href
    const publishing = await createPublishing({
      ...data,
      endpoint: { ...endpoint, dialect: silent },
      size: 50_000,
    })
    await publishing.ask({ kind: 'open' })
    await publishing.start(1000, [0])
    await until(async () => (await publishing.progress()).waiting > 20)
    reading = true
    for (const socket of sockets) socket.resume()
    const { sentTotal, acknowledgedTotal, waiting } = await publishing.stopAfter(0)
    expect([acknowledgedTotal, waiting]).toEqual([sentTotal, 0])
    expect((await publishing.ends()).channels).toEqual([{ channel: 0, last: sentTotal, exceptions: [] }])
  })

  test('the code with which it ends a connection is shown', async () => {
    const endpoint = await startLines((_, answer, socket) => {
      answer('{"push":{"disconnect":{"code":3013,"reason":"too many requests","reconnect":true}}}')
      socket.end()
    })
    const publishing = await createPublishing({ ...data, endpoint })
    await publishing.ask({ kind: 'open' })
    await publishing.start(10, [0])
    const isTold = (text: string) => text.startsWith('connection lost: 3013')
    await until(async () => Object.keys((await publishing.progress()).errors).some(isTold))
  })

  test('connections come from the given addresses, in turn', async () => {
    const addresses: (string | undefined)[] = []
    const endpoint = await startLines(
      (id, answer) => answer(`{"id":${id},"publish":{}}`),
      socket => addresses.push(socket.remoteAddress),
    )
    const sources = ['127.0.0.2', '127.0.0.3']
    const publishing = await createPublishing({ ...data, endpoint: { ...endpoint, sources }, publishers: 3 })
    await publishing.ask({ kind: 'open' })
    expect(addresses.sort()).toEqual(['127.0.0.2', '127.0.0.2', '127.0.0.3'])
  })
})
