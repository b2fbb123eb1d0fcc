// The narrowest real path: three kinds of clients, one channel, one relay.

import { Centrifuge } from 'centrifuge'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { TcpClient } from '../support/tcp-client.ts'

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay()
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

test('a publication by HTTP reaches a WebSocket and a TCP subscriber, with the text as it was written', async () => {
  const client = new Centrifuge(relay.websocketUrl, { websocket: WebSocket })
  const subscription = client.newSubscription('news')
  const publication = new Promise<any>(resolve => subscription.on('publication', resolve))
  const subscribed = new Promise(resolve => subscription.on('subscribed', resolve))
  subscription.subscribe()
  client.connect()
  await subscribed
  const tcp = await TcpClient.open(relay.ports.tcp)
  await tcp.call({ id: 1, connect: {} })
  await tcp.call({ id: 2, subscribe: { channel: 'news' } })

  expect(await relay.api('publish', { channel: 'news', data: { text: 'hello €' } })).toEqual({
    status: 200,
    body: { result: {} },
  })

  expect((await publication).data).toEqual({ text: 'hello €' })
  const line = await tcp.next(({ push }) => push?.pub !== undefined)
  expect(line.push).toEqual({ channel: 'news', pub: { data: { text: 'hello €' } } })
  client.disconnect()
  tcp.close()
})
