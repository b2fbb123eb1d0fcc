// A relay that takes its ports: again after a restart, but never another one's.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startTestRelay } from '../support/relay.ts'

test('a relay starts again on its ports while the connections of the one before are in TIME_WAIT', async () => {
  const first = await startTestRelay()
  const { http, tcp } = first.ports
  const sockets = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const socket = new WebSocket(first.websocketUrl)
      await once(socket, 'open')
      return socket
    }),
  )
  // The relay ends first: its ends of the connections are the ones that linger.
  const closed = Promise.all(sockets.map(socket => once(socket, 'close')))
  first.process.kill('SIGKILL')
  await closed
  const second = await startTestRelay({ http_server: { port: http }, tcp: { port: tcp } })
  expect(second.ports).toMatchObject({ http, tcp })
  await second.stop()
})

test('a port on which somebody listens is refused, whoever it is', async () => {
  const relay = await startTestRelay()
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const port = (other.address() as { port: number }).port
  await expect(startTestRelay({ http_server: { port: relay.ports.http } })).rejects.toThrow('ended with 1')
  await expect(startTestRelay({ tcp: { port: relay.ports.tcp } })).rejects.toThrow('ended with 1')
  await expect(startTestRelay({ http_server: { port } })).rejects.toThrow('ended with 1')
  other.close()
  await relay.stop()
})
