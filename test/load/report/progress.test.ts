import { expect, test } from 'vitest'
import type { Interval } from '../../../load/model.ts'
import { createProgress, type Screen } from '../../../load/report/progress.ts'

function interval(atS: number, phase = 'load'): Interval {
  return {
    atS,
    phase,
    connections: 1000,
    publishesPerSecond: 200,
    deliveriesPerSecond: 50_000,
    p50Us: 1500,
    p99Us: 9000,
    maxUs: 20_000,
    serverCores: 0.4,
    generatorCores: 0.5,
    generatorBytes: 1,
  }
}

function screen(isTTY: boolean, columns?: number): Screen & { written: string[] } {
  const written: string[] = []
  return {
    isTTY,
    ...(columns === undefined ? {} : { columns }),
    written,
    write: text => written.push(text),
  }
}

test('a terminal has one line, which is written over and is gone in the end', () => {
  const terminal = screen(true, 40)
  const progress = createProgress(terminal)
  progress.show(interval(1))
  progress.show(interval(2))
  progress.end()
  expect(terminal.written).toHaveLength(3)
  for (const text of terminal.written) expect(text).toMatch(/^\r/)
  expect(terminal.written.join('')).not.toContain('\n')
  // A line that is as wide as the terminal, or wider, would begin another.
  for (const text of terminal.written) expect(text.replace('\r\x1b[K', '').length).toBeLessThan(40)
})

test.each([80, 0])('a terminal of %i columns gets all figures, in a shorter line', columns => {
  const terminal = screen(true, columns)
  createProgress(terminal).show({ ...interval(12, 'warm-up'), deliveriesPerSecond: 999_999 })
  const shown = '12 s warm-up 1,000 conn 200 pub/s 999,999 del/s p50 1.50 ms p99 9.00 ms CPU 0.40'
  expect(terminal.written).toEqual([`\r\x1b[K${columns === 80 ? shown.slice(0, 79) : shown}`])
})

test('elsewhere there is a line every five seconds, and at the beginning of a phase', () => {
  const file = screen(false)
  const progress = createProgress(file)
  for (let atS = 1; atS <= 12; atS++) progress.show(interval(atS))
  progress.show(interval(13, 'drain'))
  progress.end()
  expect(file.written.map(line => Number(line.trim().split(' ')[0]))).toEqual([1, 6, 11, 13])
  expect(file.written[0]).toBe(
    '   1 s  load      1,000 connections  200 pub/s  50,000 del/s  p50 1.50 ms  p99 9.00 ms  server 0.40 cores\n',
  )
})

test('what is said in between stays', () => {
  const terminal = screen(true)
  const progress = createProgress(terminal)
  progress.show(interval(1))
  progress.say('run 2 of 5')
  progress.end()
  expect(terminal.written.slice(1)).toEqual(['\r\x1b[Krun 2 of 5\n'])
})
