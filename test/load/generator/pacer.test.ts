// The publisher's loop and its metronome: everything due is said once, in order, not before its time, in bounded turns.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createBeat, RUNG, rhythmOf, setRhythm } from '../../../load/generator/beat.ts'
import { nowUs } from '../../../load/generator/clock.ts'
import { dueUsOf, type Stretch } from '../../../load/generator/pace.ts'
import { createPacer } from '../../../load/generator/pacer.ts'
import { until } from '../../support/serving.ts'

type Handed = Readonly<{ startUs: number; from: number; to: number; early: boolean }>

function startPacer() {
  const handed: Handed[] = []
  const pacer = createPacer((stretch, from, to) => {
    const early = dueUsOf(stretch, to - 1) > nowUs()
    handed.push({ startUs: stretch.startUs, from, to, early })
  })
  onTestFinished(() => pacer.close())
  return { pacer, handed }
}

function expectOnceAndInOrder(handed: readonly Handed[]): void {
  for (const [index, { from, to, early }] of handed.entries()) {
    expect([from, early]).toEqual([handed[index - 1]?.to ?? 0, false])
    expect(to).toBeGreaterThan(from)
    expect(to - from).toBeLessThanOrEqual(1000)
  }
}

describe('a stretch', () => {
  test.each([50, 1000, 100_000])('of %d/s is handed over once, in order, never early', async rate => {
    const { pacer, handed } = startPacer()
    await pacer.start({ startUs: nowUs() + 5000, rate, channels: [0] })
    await until(() => (handed.at(-1)?.to ?? 0) >= rate / 10)
    await pacer.stop()
    expectOnceAndInOrder(handed)
  })

  test('that began long ago is caught up with in bounded turns', async () => {
    const { pacer, handed } = startPacer()
    await pacer.start({ startUs: nowUs() - 5e6, rate: 1000, channels: [0] })
    await until(() => (handed.at(-1)?.to ?? 0) >= 5000)
    await pacer.stop()
    expect(handed[0]!.to).toBe(1000)
    expectOnceAndInOrder(handed)
  })

  test('hands over all that is due when it is stopped, and nothing after that', async () => {
    const { pacer, handed } = startPacer()
    const stretch: Stretch = { startUs: nowUs() - 1e6, rate: 10_000, channels: [0] }
    await pacer.start(stretch)
    const beforeUs = nowUs()
    await pacer.stop()
    const { to } = handed.at(-1)!
    expect(dueUsOf(stretch, to)).toBeGreaterThan(beforeUs)
    expectOnceAndInOrder(handed)
    // A loop that was still running would be heard in the next stretch.
    const next = { startUs: nowUs(), rate: 1000, channels: [0] }
    const soFar = handed.length
    await pacer.start(next)
    await until(() => (handed.at(-1)?.to ?? 0) >= 20 && handed.length > soFar)
    expect(handed.slice(soFar).every(({ startUs }) => startUs === next.startUs)).toBe(true)
  })

  test('that follows another begins where that one ends', async () => {
    const { pacer, handed } = startPacer()
    const first = { startUs: nowUs() - 10_000, rate: 1000, channels: [0] }
    await pacer.start(first)
    const second = { startUs: nowUs(), rate: 2000, channels: [0] }
    await pacer.start(second)
    await until(() => handed.some(({ startUs, to }) => startUs === second.startUs && to >= 20))
    await pacer.stop()
    for (const { startUs } of [first, second]) {
      expectOnceAndInOrder(handed.filter(one => one.startUs === startUs))
    }
    expect(handed.filter(one => one.startUs === first.startUs).at(-1)!.to).toBeGreaterThanOrEqual(10)
  })
})

describe('the metronome', () => {
  test('rings once until somebody has looked, however many beats pass', async () => {
    const beat = createBeat()
    const url = new URL('../../../load/generator/metronome.ts', import.meta.url)
    const thread = new Worker(url, { workerData: beat.memory })
    onTestFinished(async () => {
      await thread.terminate()
    })
    let rings = 0
    thread.on('message', () => rings++)
    await once(thread, 'online')
    setRhythm(beat, { startUs: nowUs(), everyUs: 500 })
    await until(() => rings === 1)
    const manyBeatsLaterUs = nowUs() + 100 * 500
    await until(() => nowUs() > manyBeatsLaterUs)
    expect(rings).toBe(1)
    Atomics.store(beat.words, RUNG, 0)
    await until(() => rings === 2)
  })

  test('is given each rhythm in a turn of its own', () => {
    const beat = createBeat()
    expect(rhythmOf(beat)).toEqual({ turn: 0, startUs: 0, everyUs: 0 })
    setRhythm(beat, { startUs: 12.5, everyUs: 1000 })
    expect(rhythmOf(beat)).toEqual({ turn: 1, startUs: 12.5, everyUs: 1000 })
  })
})
