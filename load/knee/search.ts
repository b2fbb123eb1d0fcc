// Finds the highest value that a server bears: goes up until it doesn't, then halves the gap. Pure but for the probe.
// Invariant: what it gives as highest was probed and clean, and confirmed where that is asked for; it probes a bounded
// number of times.

/** `full`: the server lost something, ended, or fell behind; `generator`: who made the load was the limit. */
export type State = 'clean' | 'full' | 'generator'
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
  /** The highest is probed once more, with `confirms`; when that fails, the search goes on below. */
  confirm?: boolean
}>

/** What is to be probed. */
export type Next = Readonly<{ value: number; confirms: boolean }>
export type Trial = Next & Probed

/** A noisy machine may spoil a probe; one that fails again was not spoilt. */
const ATTEMPTS = 2

export async function findHighest(
  probe: (value: number, confirms: boolean) => Promise<Probed>,
  options: SearchOptions,
): Promise<Found> {
  const trials: Trial[] = []
  for (;;) {
    const next = nextAfter(trials, options)
    if ('highest' in next) return next
    trials.push({ ...next, ...(await probe(next.value, next.confirms)) })
  }
}

/** What is to be probed after these trials, or what they found. */
export function nextAfter(trials: readonly Trial[], options: SearchOptions): Next | Found {
  const { from, min, max, precision, confirm = false } = options
  const last = trials.at(-1)
  if (last === undefined) return { value: Math.min(max, Math.max(min, Math.round(from))), confirms: false }
  if (last.state !== 'clean' && !isBelieved(last, trials))
    return { value: last.value, confirms: last.confirms }

  const failure = lowest(trials.filter(trial => isBelieved(trial, trials)))
  const failed = failure?.value ?? Number.POSITIVE_INFINITY
  const clean = Math.max(0, ...trials.filter(isClean).flatMap(({ value }) => (value < failed ? [value] : [])))
  if (failure !== undefined && failed <= min) return { highest: 0, ...limitOf(failure) }
  const isAtMax = clean >= max
  const isNear = clean > 0 && failed <= Math.max(clean + 1, clean * precision)
  if (!isAtMax && !isNear) return { value: between(clean, failed, options), confirms: false }

  const isConfirmed = trials.some(trial => trial.confirms && isClean(trial) && trial.value === clean)
  if (confirm && !isConfirmed) return { value: clean, confirms: true }
  if (failure === undefined) return { highest: clean, limit: 'range', why: `no more than ${max} was tried` }
  return { highest: clean, ...limitOf(failure) }
}

function isClean({ state }: Trial): boolean {
  return state === 'clean'
}

/** It failed as often as is believed. */
function isBelieved({ value, confirms }: Trial, trials: readonly Trial[]): boolean {
  const same = trials.filter(trial => trial.value === value && trial.confirms === confirms)
  return same.filter(trial => !isClean(trial)).length >= ATTEMPTS
}

/** The last of those with the lowest value. */
function lowest(trials: readonly Trial[]): Trial | undefined {
  return trials.reduce<Trial | undefined>(
    (found, trial) => (found === undefined || trial.value <= found.value ? trial : found),
    undefined,
  )
}

function between(
  clean: number,
  failed: number,
  { step, min, max }: Pick<SearchOptions, 'step' | 'min' | 'max'>,
): number {
  if (failed === Number.POSITIVE_INFINITY) {
    return Math.min(max, Math.max(clean + 1, Math.round(clean * step)))
  }
  if (clean === 0) return Math.max(min, Math.min(failed - 1, Math.round(failed / step)))
  // At least one off both: rounding must not give one of them again.
  return Math.min(failed - 1, Math.max(clean + 1, Math.round(Math.sqrt(clean * failed))))
}

function limitOf({ state, why }: Trial): Pick<Found, 'limit' | 'why'> {
  return { limit: state === 'generator' ? 'generator' : 'server', why }
}
