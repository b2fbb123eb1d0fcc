// The question that each test of bad input asks at its end: does the relay still serve the others?

import { expect } from 'vitest'
import { RawClient, type Transport } from './raw-client.ts'
import type { TestRelay } from './relay.ts'

let rounds = 0

/** Two fresh clients, one on each transport: what the one publishes comes to the other. */
export async function expectServing(relay: TestRelay, connect: object = {}): Promise<void> {
  const channel = `serving-${rounds++}`
  const [one, other] = await Promise.all([
    RawClient.connect(relay, 'websocket', connect),
    RawClient.connect(relay, 'tcp', connect),
  ])
  await one.subscribe(2, channel)
  await other.subscribe(2, channel)
  expect(await other.call({ id: 3, publish: { channel, data: 'still here' } })).toEqual({
    id: 3,
    publish: {},
  })
  const isIt = ({ push }: any) => push?.channel === channel && push.pub !== undefined
  for (const client of [one, other]) {
    expect((await client.next(isIt)).push.pub.data).toBe('still here')
    client.close()
  }
}

/** Sums a gauge over the shards. */
export async function sumOf(relay: TestRelay, name: string, labels = ''): Promise<number> {
  const comma = labels === '' ? '' : ','
  const values = await Promise.all(
    [0, 1].map(shard => relay.metric(`${name}{${labels}${comma}shard="${shard}"}`)),
  )
  return values.reduce<number>((sum, value) => sum + (value ?? 0), 0)
}

/** Between two questions; a tight loop would take the processor from the relay that it waits for. */
const ASK_AGAIN_MS = 10

/** Asks again until it is so; the test's own time limit ends a wait in vain. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(resolve => setTimeout(resolve, ASK_AGAIN_MS))
}

export const TRANSPORTS: readonly Transport[] = ['websocket', 'tcp']
