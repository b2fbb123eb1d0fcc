// node bench/speed/run.ts [--rounds 5] [--seconds 5] [--only NAME[,NAME…]] [--smoke]
// The relay and raw uWebSockets.js one after another, round after round, under the same load; prints medians.
// The figures are processor time and memory of the server's process from /proc, so Linux only.

import { availableParallelism, cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { type Measured, measure, type Times } from './measure.ts'
import { type Scenario, scenarios, smoke } from './scenarios.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    smoke: { type: 'boolean', default: false },
  },
})
const rounds = values.smoke ? 1 : Number(values.rounds)
const times: Times = values.smoke
  ? { warmUpMs: 0, windowMs: 100 }
  : { warmUpMs: 2500, windowMs: Number(values.seconds) * 1000 }
const names = values.only === '' ? [] : values.only.split(',')
const chosen = scenarios.filter(({ name }) => names.length === 0 || names.includes(name))
let incomplete = 0

const processor = cpus()[0]?.model.trim() ?? 'unknown processor'
const memoryGb = Math.round(totalmem() / 2 ** 30)
print(`${processor}, ${availableParallelism()} cores, ${memoryGb} GB, Node ${process.version}`)
print(`medians of ${rounds} rounds, window ${times.windowMs / 1000} s; a payload has 128 bytes`)
for (const scenario of chosen) {
  if (values.smoke) await run(smoke(scenario))
  else await run(scenario)
}
print(incomplete === 0 ? '\nall messages arrived' : `\n${incomplete} measurements were incomplete`)
if (incomplete > 0) process.exitCode = 1

async function run(scenario: Scenario): Promise<void> {
  print(`\n${scenario.name}: ${scenario.title}`)
  const results = scenario.variants.map((): Measured[] => [])
  for (let round = 0; round < Math.min(rounds, scenario.roundsMax ?? rounds); round++) {
    for (const [index, variant] of scenario.variants.entries()) {
      const measured = await measure(scenario, variant, times)
      if (measured.missing !== 0 || measured.odd !== 0) {
        incomplete++
        print(`  ${variant.name}: ${measured.missing} messages missing, ${measured.odd} unexpected events`)
      }
      results[index]!.push(measured)
    }
  }
  const figure = scenario.perSecond > 0 ? deliveryLine : connectionLine
  results.forEach((rows, index) => {
    print(`  ${scenario.variants[index]!.name.padEnd(22)} ${figure(scenario, rows, results[0]!)}`)
  })
}

function deliveryLine(scenario: Scenario, rows: Measured[], rawRows: Measured[]): string {
  const us = (row: Measured) => row.cpuUsPerDelivery
  const ratio = median(rows, us) / median(rawRows, us)
  const target = scenario.ratioMax === undefined ? '' : ` (target ${scenario.ratioMax})`
  return (
    `${median(rows, us).toFixed(3).padStart(7)} us CPU/delivery ${spread(rows, us)}, ` +
    `${ratio.toFixed(2)} x raw${rows === rawRows ? '' : target}, ` +
    `${Math.round(median(rows, row => row.deliveriesPerSecond)).toLocaleString('en')}/s, ` +
    `${median(rows, row => row.deliveriesPerFrame).toFixed(1)} a frame, ` +
    `receivers ${(median(rows, row => row.receiverLoad) * 100).toFixed(0)} % busy`
  )
}

function connectionLine(scenario: Scenario, rows: Measured[]): string {
  const { connectsPerSecondMin, bytesPerConnectionMax } = scenario
  const rate = Math.round(median(rows, row => row.connectsPerSecond)).toLocaleString('en')
  const bytes = Math.round(median(rows, row => row.bytesPerConnection)).toLocaleString('en')
  return (
    `${rate.padStart(7)} connects/s${connectsPerSecondMin === undefined ? '' : ` (target ${connectsPerSecondMin})`}, ` +
    `${median(rows, row => row.cpuUsPerConnect).toFixed(0)} us CPU each, ` +
    `${bytes} bytes RSS each${bytesPerConnectionMax === undefined ? '' : ` (target ${bytesPerConnectionMax})`}`
  )
}

function median(rows: readonly Measured[], figure: (row: Measured) => number): number {
  const sorted = rows.map(figure).sort((a, b) => a - b)
  const middle = sorted.length / 2
  return Number.isInteger(middle) ? (sorted[middle - 1]! + sorted[middle]!) / 2 : sorted[Math.floor(middle)]!
}

function spread(rows: readonly Measured[], figure: (row: Measured) => number): string {
  const all = rows.map(figure)
  return `[${Math.min(...all).toFixed(3)}–${Math.max(...all).toFixed(3)}]`
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
