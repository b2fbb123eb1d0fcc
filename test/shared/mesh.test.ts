import { expect, test } from 'vitest'
import { createDoorbellMemory, Doorbell, DoorbellButton } from '../../src/shared/doorbell.ts'
import { Link, Mesh } from '../../src/shared/mesh.ts'
import { createRingMemory, RingConsumer, RingProducer } from '../../src/shared/ring.ts'

const BACKLOG_BYTES_MAX = 1000

/** A mesh of shard 0 with a link to shard 1, which sleeps and gets `wakes`. */
function meshWithSleepingPeer() {
  const doorbells = createDoorbellMemory(2)
  const outgoing = createRingMemory(1024)
  const peer = new Doorbell(doorbells, 1)
  const wakes: unknown[] = []
  const button = new DoorbellButton(doorbells, 1, { postMessage: value => wakes.push(value) })
  const link = new Link(new RingProducer(outgoing), button, BACKLOG_BYTES_MAX, () => {})
  const mesh = new Mesh(0, new Doorbell(doorbells, 0))
  mesh.connect(1, link, new RingConsumer(createRingMemory(1024)))
  peer.fallAsleep(() => false)
  return { mesh, link, wakes, inbox: new RingConsumer(outgoing) }
}

const frame = Buffer.from('frame')

test('a sleeping peer is woken once for all frames of a callback, after the last of them', async () => {
  const { link, wakes, inbox } = meshWithSleepingPeer()
  for (let i = 0; i < 3; i++) link.send(frame, undefined)
  expect(wakes.length).toBe(0)
  expect(inbox.isEmpty()).toBe(false)
  await Promise.resolve()
  expect(wakes.length).toBe(1)
  expect(link.wakes).toBe(1)
})

test('a peer that is awake is not woken again', async () => {
  const { link, wakes } = meshWithSleepingPeer()
  link.send(frame, undefined)
  await Promise.resolve()
  link.send(frame, undefined)
  await Promise.resolve()
  // It is awake since the first bell, so the second has nothing to say.
  expect(wakes.length).toBe(1)
})

test('a link that was cut in the callback that sent rings no bell: the port may be closed', async () => {
  const { mesh, link, wakes } = meshWithSleepingPeer()
  link.send(frame, undefined)
  mesh.disconnect(1)
  await Promise.resolve()
  expect(wakes.length).toBe(0)
})
