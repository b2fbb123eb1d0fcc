// The whole comparison: all that is to be measured, of all peers, in rounds. Main thread.
// Invariant: in each round each peer has its turn, every second round in the opposite order, so that what changes on
// the machine over time changes for all of them alike.

import { LoadError, reasonOf } from '../errors.ts'
import { describeMachine } from '../machine.ts'
import { formatBytes, formatCount, formatUs } from '../report/units.ts'
import { type Context, checkAllFit, measureCost, measureIdle, measureKnee } from './measure.ts'
import type { PeersOptions } from './options.ts'
import type { Peer } from './peer.ts'
import {
  type Idle,
  type Knee,
  type Measurement,
  PEERS_SCHEMA,
  type PeerResult,
  type PeersResult,
  type Shape,
} from './result.ts'

/** Memory varies little from round to round, and takes long. */
const IDLE_ROUNDS_MAX = 2

export type PeersIo = Readonly<{
  /** Told what was measured, a line each. */
  say: (line: string) => void
  signal: AbortSignal
}>

/** What has been measured of a peer so far. */
type Sheet = Readonly<{
  peer: Peer
  version: string
  shapes: Record<string, Measurement[]>
  knee: Knee[]
  idle: Idle[]
}>

export async function compareSideBySide(
  options: PeersOptions,
  { say, signal }: PeersIo,
): Promise<PeersResult> {
  checkAllFit(options)
  const startedAt = new Date()
  const { sheets, missing } = await openSheets(options)
  for (const { title, install } of missing)
    say(`not installed: ${title}; to have it in the table: ${install}`)
  const troubles: string[] = []
  for (let round = 1; round <= options.rounds; round++) {
    const inTurn = round % 2 === 1 ? sheets : [...sheets].reverse()
    for (const { what, measure } of measurementsOf(options, round)) {
      for (const sheet of inTurn) {
        const where = `round ${round} of ${options.rounds}  ${what}  ${sheet.peer.title}`
        const text = await measure(sheet, { options, signal }).catch(error => {
          if (!(error instanceof LoadError)) throw error
          // The others' figures are worth as much without it.
          troubles.push(`${where}: ${reasonOf(error)}`)
          return reasonOf(error)
        })
        say(`${where}: ${text}`)
      }
    }
  }
  return {
    schema: PEERS_SCHEMA,
    kind: 'peers',
    startedAt: startedAt.toISOString(),
    tookS: (Date.now() - startedAt.getTime()) / 1000,
    command: options.command,
    machine: describeMachine(),
    rounds: options.rounds,
    secondsEach: options.secondsEach,
    size: options.size,
    kneeP99Ms: options.kneeP99Ms,
    kneeSubscribers: options.kneeSubscribers,
    idleConnections: options.idleConnections,
    shapes: options.shapes,
    peers: sheets.map(resultOf),
    troubles,
    missing: missing.map(({ name, title, install }) => ({ name, title, install })),
  }
}

async function openSheets({
  peers,
}: PeersOptions): Promise<{ sheets: readonly Sheet[]; missing: readonly Peer[] }> {
  const versions = await Promise.all(peers.map(peer => peer.version()))
  return {
    sheets: peers.flatMap((peer, index): Sheet[] => {
      const version = versions[index]
      return version === undefined ? [] : [{ peer, version, shapes: {}, knee: [], idle: [] }]
    }),
    missing: peers.filter((_, index) => versions[index] === undefined),
  }
}

/** Writes its figures on the sheet; resolves with them as a text. */
type Measure = (sheet: Sheet, context: Context) => Promise<string>

function measurementsOf(
  { parts, shapes }: PeersOptions,
  round: number,
): ReadonlyArray<Readonly<{ what: string; measure: Measure }>> {
  return [
    ...(parts.includes('cost') ? shapes.map(shape => ({ what: shape.title, measure: costOf(shape) })) : []),
    ...(parts.includes('knee') ? [{ what: 'highest clean rate', measure: knee }] : []),
    ...(parts.includes('memory') && round <= IDLE_ROUNDS_MAX ? [{ what: 'idle', measure: idle }] : []),
  ]
}

function costOf(shape: Shape): Measure {
  return async (sheet, context) => {
    const measured = await measureCost(sheet.peer, shape, context)
    const rows = sheet.shapes[shape.name] ?? []
    sheet.shapes[shape.name] = rows
    rows.push(measured)
    return costText(measured)
  }
}

function costText({ state, why, cpuUsPerDelivery, lastP50Us, lastP99Us }: Measurement): string {
  const cpu = cpuUsPerDelivery === undefined ? [] : [`${cpuUsPerDelivery.toPrecision(3)} µs CPU a delivery`]
  const latency =
    lastP50Us === undefined || lastP99Us === undefined
      ? []
      : [`last recipient p50 ${formatUs(lastP50Us)}, p99 ${formatUs(lastP99Us)}`]
  const trouble = { clean: [], full: [`FULL: ${why}`], generator: [`the generator was the limit: ${why}`] }[
    state
  ]
  return [...cpu, ...latency, ...trouble].join('; ')
}

async function knee(sheet: Sheet, context: Context): Promise<string> {
  const found = await measureKnee(sheet.peer, kneeStart(sheet, context.options), sheet.knee, context)
  sheet.knee.push(found)
  const bound = found.limit === 'server' ? '' : 'at least '
  return `${bound}${formatCount(found.highest)}/s (${found.why})`
}

/** The highest rate that is known to be clean already: it saves the search its first steps. */
function kneeStart(sheet: Sheet, { shapes, kneeSubscribers, kneeRateMin }: PeersOptions): number {
  const borne = shapes.filter(
    ({ name, subscribers }) =>
      subscribers === kneeSubscribers && (sheet.shapes[name] ?? []).some(({ state }) => state === 'clean'),
  )
  return Math.max(kneeRateMin, ...borne.map(({ rate }) => rate))
}

async function idle(sheet: Sheet, context: Context): Promise<string> {
  const measured = await measureIdle(sheet.peer, context)
  sheet.idle.push(measured)
  const { bytesPerConnection, connectsPerSecond } = measured
  return `${formatBytes(bytesPerConnection)} a connection, ${formatCount(connectsPerSecond)} connects/s`
}

function resultOf({ peer: { name, title, settings }, version, shapes, knee, idle }: Sheet): PeerResult {
  return { name, title, version, settings, shapes, knee, idle }
}
