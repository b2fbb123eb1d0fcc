import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Ticker } from '../../../load/stage/ticker.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a ticker', () => {
  test('takes a sample each second from the beginning of a phase on, but none shortly before its end', async () => {
    const atMs: number[] = []
    const ticker = new Ticker(1000, async () => void atMs.push(performance.now()))
    await vi.advanceTimersByTimeAsync(123)
    const fromMs = performance.now()
    ticker.begin(fromMs + 3200)
    await vi.advanceTimersByTimeAsync(5000)
    expect(atMs.map(ms => Math.round(ms - fromMs))).toEqual([1000, 2000])
    ticker.begin(performance.now() + 3300)
    await vi.advanceTimersByTimeAsync(5000)
    expect(atMs).toHaveLength(5)
  })

  test('leaves out seconds that it missed', async () => {
    const atMs: number[] = []
    let tookMs = 2500
    const fromMs = performance.now()
    const ticker = new Ticker(1000, async () => {
      atMs.push(Math.round(performance.now() - fromMs))
      await new Promise(resolve => setTimeout(resolve, tookMs))
      tookMs = 0
    })
    ticker.begin()
    await vi.advanceTimersByTimeAsync(5100)
    expect(atMs).toEqual([1000, 4000, 5000])
  })

  test('takes one sample after another, never two at once', async () => {
    let running = 0
    let most = 0
    const ticker = new Ticker(1000, async () => {
      most = Math.max(most, ++running)
      await new Promise(resolve => setTimeout(resolve, 10))
      running--
    })
    const all = Promise.all([ticker.now(), ticker.now(), ticker.now()])
    await vi.advanceTimersByTimeAsync(100)
    await all
    expect(most).toBe(1)
  })

  test('stops when it is paused, also in the middle of a sample', async () => {
    let count = 0
    const ticker = new Ticker(1000, async () => {
      count++
      await new Promise(resolve => setTimeout(resolve, 100))
    })
    ticker.begin()
    await vi.advanceTimersByTimeAsync(1050)
    ticker.pause()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(count).toBe(1)
  })
})
