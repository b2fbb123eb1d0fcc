// What a comparison of peers gives: the JSON of load/results/…-peers.json, and figures over its rounds. Pure.
// Invariant: each measurement is kept as it was; a median is made only of those that count.

import type { State } from '../knee/search.ts'
import type { Machine } from '../model.ts'

export const PEERS_SCHEMA = 1

export type Measurement = Readonly<{
  state: State
  /** What speaks against it, in words; empty where it is clean. */
  why: string
  deliveriesPerSecond: number
  /** Absent where the system doesn't tell, or the server ended. */
  cpuUsPerDelivery?: number
  /** To the last recipient of each publication. */
  lastP50Us?: number
  lastP99Us?: number
}>

/** Publications a second, all of them to each subscriber. */
export type Knee = Readonly<{ highest: number; limit: 'server' | 'generator' | 'range'; why: string }>

export type Idle = Readonly<{ bytesPerConnection: number; connectsPerSecond: number }>

export type Shape = Readonly<{ name: string; title: string; subscribers: number; rate: number }>

export type PeerResult = Readonly<{
  name: string
  title: string
  version: string
  settings: string
  /** By the shape's name, one for each round. */
  shapes: Readonly<Record<string, readonly Measurement[]>>
  knee: readonly Knee[]
  idle: readonly Idle[]
}>

export type PeersResult = Readonly<{
  schema: typeof PEERS_SCHEMA
  kind: 'peers'
  /** ISO 8601. */
  startedAt: string
  tookS: number
  command: string
  machine: Machine
  rounds: number
  secondsEach: number
  size: number
  kneeP99Ms: number
  kneeSubscribers: number
  idleConnections: number
  shapes: readonly Shape[]
  peers: readonly PeerResult[]
  /** Measurements that could not be made, and why. */
  troubles: readonly string[]
  missing: ReadonlyArray<Readonly<{ name: string; title: string; install: string }>>
}>

export type Figure = Readonly<{ median: number; min: number; max: number; count: number }>

/** Undefined where there is none. */
export function figureOf(values: readonly (number | undefined)[]): Figure | undefined {
  const sorted = values.filter(value => value !== undefined && Number.isFinite(value)) as number[]
  if (sorted.length === 0) return undefined
  sorted.sort((a, b) => a - b)
  const middle = sorted.length / 2
  const median = Number.isInteger(middle)
    ? (sorted[middle - 1]! + sorted[middle]!) / 2
    : sorted[Math.floor(middle)]!
  return { median, min: sorted[0]!, max: sorted.at(-1)!, count: sorted.length }
}

export type ShapeFigures = Readonly<{
  /** Of most rounds; the worse one of two that are equally frequent. */
  state: State
  why: string
  cpuUs: Figure | undefined
  lastP50Us: Figure | undefined
  lastP99Us: Figure | undefined
}>

/** CPU counts whoever was the limit of latency; what a server did not bear counts nowhere. */
export function figuresOf(measurements: readonly Measurement[]): ShapeFigures | undefined {
  if (measurements.length === 0) return undefined
  const borne = measurements.filter(({ state }) => state !== 'full')
  const clean = measurements.filter(({ state }) => state === 'clean')
  const state =
    2 * borne.length <= measurements.length
      ? 'full'
      : 2 * clean.length <= measurements.length
        ? 'generator'
        : 'clean'
  return {
    state,
    why: measurements.find(one => one.state === state)?.why ?? '',
    cpuUs: figureOf(borne.map(one => one.cpuUsPerDelivery)),
    lastP50Us: figureOf(clean.map(one => one.lastP50Us)),
    lastP99Us: figureOf(clean.map(one => one.lastP99Us)),
  }
}

/** The median round's knee; it is a lower bound if any round's was. */
export function kneeOf(knees: readonly Knee[]): Readonly<{ figure: Figure; atLeast: boolean }> | undefined {
  const figure = figureOf(knees.map(({ highest }) => highest))
  return figure && { figure, atLeast: knees.some(({ limit }) => limit !== 'server') }
}
