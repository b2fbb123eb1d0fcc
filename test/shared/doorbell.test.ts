import { MessageChannel } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { createDoorbellMemory, Doorbell, DoorbellButton } from '../../src/shared/doorbell.ts'
import { createRingMemory } from '../../src/shared/ring.ts'
import { runWorkers } from './workers/spawn.ts'

const PING_PONG_BALLS = 200_000

function createDoorbell() {
  const memory = createDoorbellMemory(3)
  const wakes = [0, 0, 0]
  const buttonOf = (consumer: number) =>
    new DoorbellButton(memory, consumer, {
      postMessage: () => {
        wakes[consumer]!++
      },
    })
  return { memory, wakes, buttonOf, doorbell: new Doorbell(memory, 1) }
}

describe('doorbell, one thread', () => {
  test('does not ring for a consumer that is awake', () => {
    const { wakes, buttonOf } = createDoorbell()
    expect(buttonOf(1).ring()).toBe(false)
    expect(wakes).toEqual([0, 0, 0])
  })

  test('rings once per sleep, however many producers ring', () => {
    const { wakes, buttonOf, doorbell } = createDoorbell()
    const [first, second] = [buttonOf(1), buttonOf(1)]
    for (let sleep = 1; sleep <= 3; sleep++) {
      expect(doorbell.fallAsleep(() => false)).toBe(true)
      expect([second.ring(), first.ring(), second.ring()]).toEqual([true, false, false])
      expect(wakes).toEqual([0, sleep, 0])
    }
  })

  test('stays awake when work has come in the meantime', () => {
    const { wakes, buttonOf, doorbell } = createDoorbell()
    expect(doorbell.fallAsleep(() => true)).toBe(false)
    expect(buttonOf(1).ring()).toBe(false)
    expect(wakes).toEqual([0, 0, 0])
  })

  test('a producer that comes between the flag and the last look rings', () => {
    const { wakes, buttonOf, doorbell } = createDoorbell()
    const button = buttonOf(1)
    expect(doorbell.fallAsleep(() => button.ring())).toBe(false)
    expect(wakes).toEqual([0, 1, 0])
  })

  test('needs no ring after the consumer woke by itself, nor for one started anew', () => {
    const { memory, buttonOf, doorbell } = createDoorbell()
    doorbell.fallAsleep(() => false)
    doorbell.awake()
    expect(buttonOf(1).ring()).toBe(false)
    doorbell.fallAsleep(() => false)
    new Doorbell(memory, 1)
    expect(buttonOf(1).ring()).toBe(false)
  })

  test('a consumer that does not exist is a programmer error', () => {
    expect(() => new Doorbell(createDoorbellMemory(3), 3)).toThrow('no such consumer')
  })
})

describe('doorbell, two threads', () => {
  test(`loses no wake-up while ${PING_PONG_BALLS} balls go there and back`, async () => {
    const doorbells = createDoorbellMemory(2)
    const [there, back] = [createRingMemory(1024), createRingMemory(1024)]
    const { port1, port2 } = new MessageChannel()
    const shared = { doorbells, balls: PING_PONG_BALLS }
    const sleeps = await runWorkers([
      {
        file: 'doorbell-player.ts',
        workerData: { ...shared, self: 0, inbound: back, outbound: there, port: port1 },
        transferList: [port1],
      },
      {
        file: 'doorbell-player.ts',
        workerData: { ...shared, self: 1, inbound: there, outbound: back, port: port2 },
        transferList: [port2],
      },
    ])
    // If neither had ever slept, nothing would have been tested.
    for (const count of sleeps) expect(count).toBeGreaterThan(0)
  })
})
