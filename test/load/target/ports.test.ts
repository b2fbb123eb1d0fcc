// Ports that nobody else gets while their server is down.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { portRange } from '../../../load/machine.ts'
import { lastingPorts } from '../../../load/target/ports.ts'

test('are different, free, and outside of what the system deals out', async () => {
  const ports = await lastingPorts(3)
  expect(new Set(ports).size).toBe(3)
  const { from, to } = portRange()
  for (const port of ports) {
    expect(port < from || port > to).toBe(true)
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
  }
})
