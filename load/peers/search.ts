// Finds the highest value that a server bears: goes up until it doesn't, then halves the gap. Pure but for the probe.
// Invariant: what it gives as highest was probed and clean; it probes a bounded number of times.

import type { State } from './result.ts'

export type Probed = Readonly<{ state: State; why: string }>
export type Found = Readonly<{ highest: number; limit: 'server' | 'generator' | 'range'; why: string }>

export type SearchOptions = Readonly<{
  /** Where to begin, and by how many times to go up or down from there. */
  from: number
  step: number
  min: number
  max: number
  /** Ends when the lowest that was not borne is less than this many times the highest that was. */
  precision: number
}>

/** A noisy machine may spoil a probe; one that fails again was not spoilt. */
const ATTEMPTS = 2

export async function findHighest(
  probe: (value: number) => Promise<Probed>,
  { from, step, min, max, precision }: SearchOptions,
): Promise<Found> {
  let clean = 0
  let failed = Number.POSITIVE_INFINITY
  let failure: Probed | undefined
  let next = Math.min(max, Math.max(min, Math.round(from)))
  for (;;) {
    const probed = await attempt(probe, next)
    if (probed.state === 'clean') {
      clean = next
      if (clean >= max) return { highest: clean, limit: 'range', why: `no more than ${max} was tried` }
    } else {
      failed = next
      failure = probed
      if (failed <= min) return { highest: clean, limit: limitOf(probed), why: probed.why }
    }
    if (clean > 0 && failure !== undefined && failed <= Math.max(clean + 1, clean * precision)) {
      return { highest: clean, limit: limitOf(failure), why: failure.why }
    }
    next = nextOf(clean, failed, { step, min, max })
  }
}

function nextOf(
  clean: number,
  failed: number,
  { step, min, max }: Pick<SearchOptions, 'step' | 'min' | 'max'>,
): number {
  if (failed === Number.POSITIVE_INFINITY) return Math.min(max, Math.max(clean + 1, Math.round(clean * step)))
  if (clean === 0) return Math.max(min, Math.min(failed - 1, Math.round(failed / step)))
  // At least one off both: rounding must not give one of them again.
  return Math.min(failed - 1, Math.max(clean + 1, Math.round(Math.sqrt(clean * failed))))
}

async function attempt(probe: (value: number) => Promise<Probed>, value: number): Promise<Probed> {
  let probed = await probe(value)
  for (let count = 1; count < ATTEMPTS && probed.state !== 'clean'; count++) probed = await probe(value)
  return probed
}

function limitOf({ state }: Probed): 'server' | 'generator' {
  return state === 'generator' ? 'generator' : 'server'
}
