// node bench/run.ts [--smoke] [name…]: runs all benchmarks, or those whose path has one of the names in it,
// one after another, and prints a table.

import { readdirSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { sep } from 'node:path'
import type { Benchmark, BenchRow, BenchSize } from './bench.ts'

const args = process.argv.slice(2)
const size: BenchSize = args.includes('--smoke') ? 'smoke' : 'full'
const names = args.filter(arg => arg !== '--smoke')

const processor = cpus()[0]?.model.trim() ?? 'unknown processor'
print(`${processor}, ${availableParallelism()} cores, Node ${process.version}, ${size} size`)
const files = benchFiles().filter(file => names.length === 0 || names.some(name => file.includes(name)))
if (files.length === 0) {
  print(`no benchmark has one of these in its path: ${names.join(', ')}`)
  process.exitCode = 2
}
for (const file of files) {
  const { default: benchmark } = (await import(new URL(file, import.meta.url).href)) as { default: Benchmark }
  print(`\n${benchmark.name}`)
  for (const row of await benchmark.run(size)) print(lineOf(row))
}

/** Paths relative to this folder, with slashes. */
function benchFiles(): string[] {
  return readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.bench.ts'))
    .map(file => file.replaceAll(sep, '/'))
    .sort()
}

function lineOf({ case: label, opsPerSecond, note = '' }: BenchRow): string {
  const rate =
    opsPerSecond === undefined
      ? ''
      : `${(opsPerSecond / 1e6).toFixed(3).padStart(10)} M/s ${(1e9 / opsPerSecond).toFixed(1).padStart(10)} ns`
  return `  ${label.padEnd(48)}${rate.padEnd(28)}  ${note}`.trimEnd()
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
