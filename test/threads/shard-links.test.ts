// A shard's ends of the mesh: what peers send is heard, whatever becomes of the peers beside them.

import { MessageChannel } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { slotCount } from '../../src/metrics/slots.ts'
import { createDoorbellMemory, DoorbellButton } from '../../src/shared/doorbell.ts'
import { createRingMemory, RingProducer } from '../../src/shared/ring.ts'
import { ShardLinks } from '../../src/threads/shard-links.ts'
import type { Topology } from '../../src/threads/topology.ts'

const RING_BYTES = 64 << 10
const PATIENTLY = { timeout: 10_000, interval: 5 }

function createShard(shards: number) {
  const doorbells = createDoorbellMemory(shards)
  // The ends need no more of it than this.
  const topology = { doorbells, config: { mesh: { backlog_max_size: 1 << 20 } } } as Topology
  const links = new ShardLinks(topology, 0, new Float64Array(slotCount))
  const heard: string[] = []
  links.open(
    (from, bytes, headStart, payloadStart) =>
      heard.push(`${from}:${bytes.toString('utf8', headStart, payloadStart)}`),
    error => {
      throw error
    },
  )
  onTestFinished(() => links.close())
  /** Connects a peer; the test speaks for it. */
  const connectPeer = (peer: number) => {
    const { port1, port2 } = new MessageChannel()
    onTestFinished(() => port2.close())
    const incoming = createRingMemory(RING_BYTES)
    links.connect({ peer, outgoing: createRingMemory(RING_BYTES), incoming, port: port1 })
    const ring = new RingProducer(incoming)
    const button = new DoorbellButton(doorbells, 0, port2)
    return (text: string) => {
      const bytes = Buffer.from(text)
      const start = ring.tryClaim(bytes.length, 0)
      ring.bytes.set(bytes, start)
      ring.commit()
      return button.ring()
    }
  }
  return { links, heard, connectPeer }
}

test('peers that are connected are heard', async () => {
  const { links, heard, connectPeer } = createShard(3)
  const [first, second] = [connectPeer(1), connectPeer(2)]
  links.drain()
  expect(first('a')).toBe(true)
  // It is awake already, or as good as.
  expect(second('b')).toBe(false)
  await expect.poll(() => heard, PATIENTLY).toEqual(['1:a', '2:b'])
})

test('a bell that a lost peer rang is not missed by the others', async () => {
  const { links, heard, connectPeer } = createShard(3)
  const [lost, other] = [connectPeer(1), connectPeer(2)]
  links.drain()
  // Its message is under way through the port that is closed with it.
  expect(lost('last words')).toBe(true)
  links.disconnect(1)
  expect(heard).toEqual(['1:last words'])
  expect(other('after it')).toBe(true)
  await expect.poll(() => heard, PATIENTLY).toEqual(['1:last words', '2:after it'])
})

test('what a peer sent while it was being lost is heard of the others as well', () => {
  const { links, heard, connectPeer } = createShard(3)
  const [lost, other] = [connectPeer(1), connectPeer(2)]
  links.drain()
  lost('last words')
  // Its own bell says nothing: the lost one's was to wake the shard.
  expect(other('before it')).toBe(false)
  links.disconnect(1)
  expect(heard).toEqual(['1:last words', '2:before it'])
})
