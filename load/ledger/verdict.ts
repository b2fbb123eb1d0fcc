// What a run is worth: was everything delivered, in order, and are its latencies the server's and not the generator's?
// Pure. Invariant: faults are about the server and make exit code 1, limits of the generator make the latencies invalid
// and exit code 3, and 1 goes before 3; a remark changes nothing.

import type { LatencySummary, LedgerTotals, Offered, RunResult, ThreadUse, Verdict } from '../model.ts'
import { formatCount, formatRate, formatShare, formatUs } from '../report/units.ts'
import type { Scenario } from '../scenario.ts'

export type Evidence = Readonly<{
  promises: Scenario['promises']
  ledger: LedgerTotals
  /** Of all recipients, over what was measured. */
  latency: LatencySummary
  /** Latencies below zero: receipts before the intended time. */
  negativeLatencies: number
  /** Publications due in what was measured: sent, and of these, known to have reached all their recipients. */
  sent: number
  complete: number
  offered: Offered
  /** Publications that were due and had to wait for the server, at most, in what was measured. */
  waitingMax: number
  /** Over what was measured. */
  threads: readonly ThreadUse[]
  /** What the scenario found by itself. */
  faults: readonly string[]
  remarks: readonly string[]
}>

/**
 * A thread as busy as this has no room for bursts: what comes while it works waits for it, and that wait grows without
 * bound as the rest shrinks (at 90 % already to ten times the work itself).
 */
const UTILIZATION_MAX = 0.9
/** In single seconds it may be busier: a burst or a collection of garbage. Worth knowing for the far percentiles. */
const UTILIZATION_OF_A_SECOND_MAX = 0.95
/**
 * A receiver that is kept from its core for a fifth of the time measures the machine's other work. Not so the publisher: it
 * wakes up to 2,000 times a second and may have to wait each time, but how late each publication left is measured itself.
 */
const WAITED_FOR_CORE_MAX = 0.2
/**
 * The generator's own share of a latency: from here on more of it may be the generator's than the server's …
 */
const OWN_SHARE_MAX = 0.5
/** … but what is shorter than a time slice of the kernel is no sign of a generator that can't keep up. */
const OWN_DELAY_US_MIN = 10_000
/** A rate is held when so much of it was sent: the rest is where a window begins and ends. */
const RATE_HELD = 0.99
/** More than rounding of the clocks: then they disagree. */
const NEGATIVE_MAX = 0.001
/** Fewer known first and last recipients than this: those that are known may be the quicker ones. */
const COMPLETE_MIN = 0.99
/** More would make a headline that nobody reads. */
const HEADLINE_FAULTS_MAX = 3
/** Not on the way of a message: it asks and adds up. */
const NOT_MEASURING = /^main\b/
const PUBLISHER = 'publisher'

export function judge(evidence: Evidence): Verdict {
  const faults = findFaults(evidence)
  const generatorLimits = findGeneratorLimits(evidence)
  const latencyValid = generatorLimits.length === 0
  return {
    exitCode: faults.length > 0 ? 1 : latencyValid ? 0 : 3,
    headline: headlineOf(evidence, faults, generatorLimits),
    faults,
    generatorLimits,
    latencyValid,
    remarks: [
      ...serverShortfalls(evidence),
      ...bookRemarks(evidence),
      // Of figures that are not valid nobody needs to know how far to trust them.
      ...(latencyValid ? doubtsOfFigures(evidence) : [WAY_OUT]),
      ...evidence.remarks,
    ],
  }
}

const WAY_OUT =
  'For valid latencies: run it on a quieter machine, make the load smaller (--rate, --subscribers), or add threads (--receivers).'

/**
 * Whether the server did all that was asked of it: nothing missing, nothing refused, the rate held, and the figures
 * valid. More than exit code 0, which a server that takes less than it is offered may have: a search for the highest
 * clean rate ends there.
 */
export function isClean({
  verdict,
  ledger,
  offered,
}: Pick<RunResult, 'verdict' | 'ledger' | 'offered'>): boolean {
  return (
    verdict.exitCode === 0 &&
    ledger.refused === 0 &&
    ledger.unknown === 0 &&
    ledger.toldLost === 0 &&
    isRateHeld(offered)
  )
}

function findFaults({ promises, ledger, faults }: Evidence): string[] {
  const of = `of ${formatCount(ledger.expected)} deliveries`
  const found = [
    ledger.lost > 0 && `LOST ${formatCount(ledger.lost)} ${of}`,
    ledger.toldLost > 0 &&
      promises === 'complete' &&
      `NOT DELIVERED ${formatCount(ledger.toldLost)} ${of}, though the subscribers were told`,
    ledger.outOfOrder > 0 && `OUT OF ORDER ${formatCount(ledger.outOfOrder)} ${of}`,
    ledger.duplicated > 0 && `DELIVERED TWICE ${formatCount(ledger.duplicated)} ${of}`,
    ledger.unreadable > 0 && `UNREADABLE ${times(ledger.unreadable, 'publication')}`,
    ledger.sent > 0 && ledger.acknowledged === 0 && 'NOTHING ACCEPTED of what was published',
  ]
  return [...found.filter(fault => fault !== false), ...faults]
}

function findGeneratorLimits({ latency, negativeLatencies, offered, threads, ...rest }: Evidence): string[] {
  // Without latencies there is nothing to be invalid, and what is lost is lost all the same.
  if (latency.count === 0) return []
  const measuring = threads.filter(({ name }) => !NOT_MEASURING.test(name))
  const ownDelayMaxUs = Math.max(OWN_DELAY_US_MIN, OWN_SHARE_MAX * latency.p99Us)
  const perThread = measuring.flatMap(({ name, utilization, delayP99Us, waitedForCore = 0 }) => [
    utilization > UTILIZATION_MAX &&
      `${name} was busy for ${formatShare(utilization)} of the time (at most ${formatShare(UTILIZATION_MAX)})`,
    delayP99Us > ownDelayMaxUs &&
      `${name} came ${formatUs(delayP99Us)} late to its work (99th percentile), at a latency of ${formatUs(latency.p99Us)}`,
    waitedForCore > WAITED_FOR_CORE_MAX &&
      name !== PUBLISHER &&
      `${name} waited for a core for ${formatShare(waitedForCore)} of the time (at most ${formatShare(WAITED_FOR_CORE_MAX)})`,
  ])
  const isLate = offered.latenessP99Us > ownDelayMaxUs
  const found = [
    ...perThread,
    isLate &&
      `publications left ${formatUs(offered.latenessP99Us)} late (99th percentile), at a latency of ${formatUs(latency.p99Us)}`,
    !isRateHeld(offered) && rest.waitingMax === 0 && `it sent only ${rateOf(offered)}`,
    negativeLatencies > NEGATIVE_MAX * latency.count &&
      `${formatCount(negativeLatencies)} publications came before they were sent: the clocks disagree`,
  ]
  return found.filter(limit => limit !== false)
}

/** What the server did not take. A limit of the server is an answer to the question, not a fault. */
function serverShortfalls({ ledger, offered, waitingMax }: Evidence): string[] {
  const found = [
    !isRateHeld(offered) &&
      waitingMax > 0 &&
      `Only ${rateOf(offered)} could be sent: up to ${formatCount(waitingMax)} waited for the server.`,
    ledger.refused > 0 && `The server refused ${times(ledger.refused, 'publication')}; they are not owed.`,
    ledger.unknown > 0 &&
      `${times(ledger.unknown, 'publication')} had no answer when a connection ended; they are not owed.`,
  ]
  return found.filter(shortfall => shortfall !== false)
}

function bookRemarks({ promises, ledger, latency, sent, complete }: Evidence): string[] {
  const found = [
    promises === 'told' &&
      ledger.toldLost > 0 &&
      `${times(ledger.toldLost, 'delivery')} did not come, and the subscribers were told so.`,
    ledger.overflowed > 0 &&
      `${times(ledger.overflowed, 'subscription')} missed more pieces than are kept: the count of lost ones is not exact.`,
    latency.count > 0 &&
      complete < COMPLETE_MIN * sent &&
      `First and last recipient are known of ${formatCount(complete)} of ${formatCount(sent)} publications.`,
  ]
  return found.filter(remark => remark !== false)
}

/** Not enough to make the figures invalid, but worth knowing to who reads them. */
function doubtsOfFigures({ latency, offered, threads }: Evidence): string[] {
  if (latency.count === 0) return []
  const measuring = threads.filter(({ name }) => !NOT_MEASURING.test(name))
  const ownP99Us = Math.max(offered.latenessP99Us, ...measuring.map(({ delayP99Us }) => delayP99Us))
  const ownMaxUs = Math.max(offered.latenessMaxUs, ...measuring.map(({ delayMaxUs }) => delayMaxUs))
  const found = [
    ownP99Us > OWN_SHARE_MAX * latency.p99Us &&
      `The 99th percentile of ${formatUs(latency.p99Us)} is partly the generator's: up to ${formatUs(ownP99Us)}.`,
    ownMaxUs > OWN_DELAY_US_MIN &&
      ownMaxUs > OWN_SHARE_MAX * latency.maxUs &&
      `The greatest latencies may be the generator's: it paused for up to ${formatUs(ownMaxUs)}.`,
    ...measuring.map(
      ({ name, utilizationMax }) =>
        utilizationMax > UTILIZATION_OF_A_SECOND_MAX &&
        `${name} was busy for ${formatShare(utilizationMax)} of its busiest second.`,
    ),
  ]
  return found.filter(remark => remark !== false)
}

function headlineOf(
  evidence: Evidence,
  faults: readonly string[],
  generatorLimits: readonly string[],
): string {
  const limit = generatorLimits[0]
  if (faults.length > 0) {
    const most = faults.slice(0, HEADLINE_FAULTS_MAX).join('; ')
    return limit === undefined
      ? `${most}.`
      : `${most}. The generator was a limit too: latency figures are not valid.`
  }
  if (limit !== undefined) return `The generator was the limit: ${limit}. Latency figures are not valid.`
  const { ledger, offered, waitingMax } = evidence
  if (ledger.sent === 0) return 'Clean: nothing was published, and nothing went wrong.'
  const came = formatCount(ledger.expected - ledger.lost - ledger.toldLost)
  const rest = ledger.toldLost > 0 ? 'of all others the subscribers were told' : 'none lost'
  const clean = `Clean: ${came} of ${formatCount(ledger.expected)} deliveries, ${rest}, none out of order.`
  return isRateHeld(offered) || waitingMax === 0 ? clean : `${clean} The server took only ${rateOf(offered)}.`
}

function isRateHeld({ wantedPerSecond, sentPerSecond }: Offered): boolean {
  return sentPerSecond >= RATE_HELD * wantedPerSecond
}

function rateOf({ wantedPerSecond, sentPerSecond }: Offered): string {
  return `${formatRate(sentPerSecond)} of ${formatRate(wantedPerSecond)} publications/s`
}

function times(count: number, what: string): string {
  const many = what.endsWith('y') ? `${what.slice(0, -1)}ies` : `${what}s`
  return `${formatCount(count)} ${count === 1 ? what : many}`
}
