// What is told of a comparison: medians, ratios, and where the figures are not the server's.

import { describe, expect, test } from 'vitest'
import {
  figureOf,
  figuresOf,
  kneeOf,
  type Measurement,
  type PeersResult,
} from '../../../load/peers/result.ts'
import { renderMarkdown, renderText } from '../../../load/peers/table.ts'

const clean = (cpuUsPerDelivery: number, lastP99Us = 2000): Measurement => ({
  state: 'clean',
  why: '',
  deliveriesPerSecond: 100_000,
  cpuUsPerDelivery,
  lastP50Us: 1000,
  lastP99Us,
})
const full: Measurement = { state: 'full', why: 'LOST 3 of 1,000 deliveries', deliveriesPerSecond: 90_000 }
const byGenerator: Measurement = { ...clean(4), state: 'generator', why: 'receiver 0 was busy' }

describe('figures over rounds', () => {
  test('are medians with their spread', () => {
    expect(figureOf([3, 1, undefined, 2])).toEqual({ median: 2, min: 1, max: 3, count: 3 })
    expect(figureOf([1, 2])).toMatchObject({ median: 1.5 })
    expect(figureOf([])).toBeUndefined()
  })

  test('leave out what the server did not bear', () => {
    expect(figuresOf([clean(1), full, clean(3)])).toMatchObject({
      state: 'clean',
      cpuUs: { median: 2, count: 2 },
    })
    expect(figuresOf([clean(1), full])).toMatchObject({ state: 'full', why: full.why })
  })

  test('keep the CPU where the generator was the limit, but not the latency', () => {
    const figures = figuresOf([byGenerator, byGenerator, clean(2, 7000)])!
    expect(figures.state).toBe('generator')
    expect(figures.cpuUs).toMatchObject({ median: 4, count: 3 })
    expect(figures.lastP99Us).toMatchObject({ median: 7000, count: 1 })
  })

  test('are a lower bound as soon as one round was', () => {
    const knee = { highest: 10, limit: 'server', why: '' } as const
    expect(kneeOf([knee, knee])).toMatchObject({ atLeast: false })
    expect(kneeOf([knee, { ...knee, limit: 'generator' }])).toMatchObject({ atLeast: true })
  })
})

const result: PeersResult = {
  schema: 1,
  kind: 'peers',
  startedAt: '2026-01-01T00:00:00.000Z',
  tookS: 1,
  command: 'npm run load:peers -- --markdown',
  machine: { cpu: 'A processor', cores: 2, memoryBytes: 2 ** 33, system: 'Linux', node: 'v22.0.0' },
  rounds: 1,
  secondsEach: 5,
  size: 128,
  kneeP99Ms: 100,
  kneeSubscribers: 100,
  idleConnections: 5000,
  shapes: [
    { name: 'a', title: '10 subscribers × 10/s', subscribers: 10, rate: 10 },
    { name: 'b', title: '10 subscribers × 90/s', subscribers: 10, rate: 90 },
    { name: 'c', title: 'was not measured', subscribers: 10, rate: 90 },
  ],
  peers: [
    {
      name: 'base',
      title: 'Base',
      version: '1.0.0',
      settings: 'none',
      shapes: { a: [clean(2)], b: [clean(0.5)] },
      knee: [{ highest: 12_000, limit: 'generator', why: 'busy' }],
      idle: [{ bytesPerConnection: 2048, connectsPerSecond: 9000 }],
    },
    {
      name: 'other',
      title: 'Other',
      version: '2.0.0',
      settings: 'all',
      shapes: { a: [byGenerator], b: [full] },
      knee: [{ highest: 1500, limit: 'server', why: 'slow' }],
      idle: [{ bytesPerConnection: 20_480, connectsPerSecond: 3000 }],
    },
  ],
  troubles: ['round 1: it did not start\n  because'],
  missing: [{ name: 'third', title: 'Third', install: 'apt-get install third' }],
}

test.each([
  ['text', renderText],
  ['Markdown', renderMarkdown],
] as const)('the %s has each figure, its ratio and what has to be known of it', (_, render) => {
  const text = render(result)
  expect(text).toContain('A processor, 2 cores')
  expect(text).toMatch(/Base 1\.0\.0 +(\| )?2\.00 µs \(1\.00 ×\) +(\| )?0\.500 µs \(1\.00 ×\)/)
  expect(text).toMatch(/Other 2\.0\.0 +(\| )?4\.00 µs \(2\.00 ×\) \* +(\| )?full/)
  expect(text).toMatch(/Other 2\.0\.0 +(\| )?– \* +(\| )?full/)
  expect(text).toContain('≥ 12,000/s = ≥ 1,200,000 deliveries/s')
  expect(text).toMatch(
    /Other 2\.0\.0 +(\| )?1,500\/s = 150,000 deliveries\/s +(\| )?20\.0 KiB +(\| )?3,000\/s/,
  )
  expect(text).toContain('full: Other at 10 subscribers × 90/s: LOST 3 of 1,000 deliveries.')
  expect(text).toContain('not installed: Third. To have it in the table: apt-get install third.')
  expect(text).toContain('not measured: round 1: it did not start because.')
  expect(text).not.toContain('was not measured')
  expect(text).not.toMatch(/NaN|undefined|Infinity/)
})

test('Markdown is a table of equally many cells in each row, and the command to repeat it', () => {
  const markdown = renderMarkdown(result)
  for (const table of markdown.split('\n\n').filter(part => part.startsWith('|'))) {
    const cells = table.split('\n').map(line => line.split('|').length)
    expect(new Set(cells).size).toBe(1)
  }
  expect(markdown).toContain('```sh\nnpm run load:peers -- --markdown\n```')
})
