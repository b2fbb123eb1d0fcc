// What the steps towards a knee mean, and how they are told. Pure.

import { isClean } from '../ledger/verdict.ts'
import type { Finding, RunResult } from '../model.ts'
import type { KneeOptions } from '../options.ts'
import { formatCores, formatCount, formatRate, formatUs } from '../report/units.ts'
import type { Found, Probed, Trial } from './search.ts'

/** Without a result where the run could not be made, or ended. */
export type Step = Trial & Readonly<{ result?: RunResult }>

/** Clean is also: p99 to every recipient not above the limit. */
export function judgeStep(result: RunResult, p99Ms: number): Probed {
  const { verdict, latency } = result
  const [fault] = verdict.faults
  if (fault !== undefined) return { state: 'full', why: fault }
  const [limit] = verdict.generatorLimits
  if (limit !== undefined) return { state: 'generator', why: limit }
  if (latency.all.p99Us > p99Ms * 1000)
    return { state: 'full', why: `p99 was ${formatUs(latency.all.p99Us)}` }
  if (!isClean(result)) return { state: 'full', why: verdict.remarks[0] ?? verdict.headline }
  return { state: 'clean', why: '' }
}

export function lineOfStep(step: Step, by: KneeOptions['by']): string {
  const { value, confirms, state, why } = step
  const outcome = { clean: 'clean', full: `NOT CLEAN: ${why}`, generator: `THE GENERATOR: ${why}` }[state]
  return [`${confirms ? 'confirm' : 'step'} ${pointOf(value, by)}`, ...figuresOf(step), outcome].join('  ')
}

function figuresOf({ result }: Step): string[] {
  if (result === undefined) return []
  const { deliveriesPerSecond, latency, server } = result
  return [
    `${formatCount(deliveriesPerSecond)} deliveries/s`,
    `p50 ${formatUs(latency.all.p50Us)}`,
    `p99 ${formatUs(latency.all.p99Us)}`,
    ...(server === undefined ? [] : [`server ${formatCores(server.cores)} cores`]),
  ]
}

function pointOf(value: number, by: KneeOptions['by']): string {
  return by === 'rate' ? `${formatRate(value)}/s` : `${formatCount(value)} subscribers`
}

export function lineOfKnee({ highest, limit, why }: Found, { by, p99Ms }: KneeOptions): string {
  const clean = `clean, with p99 up to ${p99Ms} ms`
  if (highest === 0) return `Knee: nothing that was tried was ${clean}: ${why}`
  const point = pointOf(highest, by)
  if (limit === 'server') return `Knee: ${point} is the highest that was ${clean}. Beyond it: ${why}`
  if (limit === 'generator') {
    return `Knee: at least ${point} is ${clean}. Beyond it the generator was the limit: ${why}`
  }
  return `Knee: at least ${point} is ${clean}: ${why}`
}

export function findingsOf(
  steps: readonly Step[],
  { highest, limit, why }: Found,
  { deliveriesPerSecond }: RunResult,
  { by }: KneeOptions,
): Finding[] {
  const beyond = limit === 'generator' ? `at least; beyond it the generator was the limit: ${why}` : why
  return [
    {
      key: `knee_${by}`,
      label: by === 'rate' ? 'Highest clean rate' : 'Most subscribers, clean',
      value: highest,
      unit: by === 'rate' ? '1/s' : 'count',
      better: 'higher',
      note: limit === 'server' ? `beyond it: ${beyond}` : beyond,
    },
    ...(highest === 0
      ? []
      : [
          {
            key: 'knee_deliveries',
            label: 'Deliveries at the knee',
            value: deliveriesPerSecond,
            unit: '1/s',
            better: 'higher',
          } as const,
        ]),
    // A run that could not be made has no figure.
    ...steps.flatMap((step, index): Finding[] => {
      const { value, confirms, why, result } = step
      if (result === undefined) return []
      return [
        {
          key: `knee_step_${index + 1}`,
          label: `${confirms ? 'Confirming' : 'Step'} ${pointOf(value, by)}: p99`,
          value: result.latency.all.p99Us,
          unit: 'us',
          note: why === '' ? 'clean' : why,
        },
      ]
    }),
  ]
}
