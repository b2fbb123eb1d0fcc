// What a benchmark is to bench/run.ts. A file bench/**/<name>.bench.ts has a Benchmark as its default export;
// most are made with perCall(), those that need threads of their own implement run() themselves.

import { Bench } from 'tinybench'

/** 'smoke' only shows that the benchmark still runs: a fraction of a second, its numbers mean nothing. */
export type BenchSize = 'full' | 'smoke'

export type BenchRow = {
  case: string
  /** Undefined where the row tells something else than a rate, in its note. */
  opsPerSecond: number | undefined
  note?: string
}

export type Benchmark = { name: string; run(size: BenchSize): Promise<BenchRow[]> }

const CASE_MS = { full: 1000, smoke: 5 }
const WARMUP_MS = { full: 250, smoke: 2 }

/**
 * A benchmark of functions on one thread. Each function does its operation `opsPerCall` times in a loop of
 * its own, enough (some microseconds) to make what the clock costs not count. The rate is that of the median
 * call, so that what else runs on the machine moves it little.
 */
export function perCall(name: string, opsPerCall: number, cases: Record<string, () => unknown>): Benchmark {
  return {
    name,
    async run(size) {
      const bench = new Bench({
        time: CASE_MS[size],
        warmupTime: WARMUP_MS[size],
        iterations: 1,
        warmupIterations: 1,
        throws: true,
      })
      for (const [label, run] of Object.entries(cases)) bench.add(label, run)
      await bench.run()
      return bench.tasks.map(task => {
        const { result } = task
        if (!('latency' in result)) throw new Error(`${name}, ${task.name}: no result, but ${result.state}`)
        return { case: task.name, opsPerSecond: (opsPerCall * 1e3) / result.latency.p50 }
      })
    },
  }
}
