import { expect, test } from 'vitest'
import { lock, unlock } from '../../src/shared/lock.ts'
import { runWorkers } from './workers/spawn.ts'

test('a lock is free again after unlock', () => {
  const words = new Int32Array(new SharedArrayBuffer(4))
  for (let round = 0; round < 3; round++) {
    lock(words, 0)
    expect(words[0]).not.toBe(0)
    unlock(words, 0)
    expect(words[0]).toBe(0)
  }
})

// Long sections outlast the spinning, so that threads sleep and have to be woken.
test.each([
  { rounds: 300_000, workPerRound: 0 },
  { rounds: 3_000, workPerRound: 20_000 },
])(
  'lets one thread at a time in: $rounds rounds of $workPerRound steps',
  async ({ rounds, workPerRound }) => {
    const threads = 3
    const memory = new SharedArrayBuffer(512)
    const job = { file: 'lock-taker.ts', workerData: { memory, rounds, workPerRound } }
    await runWorkers(Array.from({ length: threads }, () => job))
    expect(new Int32Array(memory)[32]).toBe(threads * rounds)
  },
)
