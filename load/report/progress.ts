// What a run says while it goes on: on a terminal one line that is written over, elsewhere a line every few seconds.
// Main thread. Invariant: nothing is written after end().

import type { Interval } from '../model.ts'
import { formatCores, formatCount, formatRate, formatUs } from './units.ts'

/** Where it is written to; a part of a stream. */
export type Screen = Readonly<{ isTTY?: boolean; columns?: number; write: (text: string) => unknown }>

const LINE_EVERY_S = 5
const COLUMNS = 100
const CLEAR_LINE = '\r\x1b[K'

export type Progress = Readonly<{
  show: (interval: Interval) => void
  /** A line that stays. */
  say: (text: string) => void
  end: () => void
}>

export function createProgress(screen: Screen): Progress {
  let shownS = Number.NEGATIVE_INFINITY
  let phase = ''
  let open = false
  return {
    show(interval) {
      const line = lineOf(interval)
      if (screen.isTTY) {
        // Some terminals say that they have no columns at all.
        const width = (screen.columns || COLUMNS) - 1
        const fitting = line.length > width ? shortLineOf(interval).slice(0, width) : line
        screen.write(`${CLEAR_LINE}${fitting}`)
        open = true
        return
      }
      if (interval.phase === phase && interval.atS - shownS < LINE_EVERY_S) return
      shownS = interval.atS
      phase = interval.phase
      screen.write(`${line}\n`)
    },
    say(text) {
      screen.write(`${open ? CLEAR_LINE : ''}${text}\n`)
      open = false
    },
    end() {
      if (open) screen.write(CLEAR_LINE)
      open = false
    },
  }
}

function lineOf(interval: Interval): string {
  const { atS, phase, connections, publishesPerSecond, deliveriesPerSecond, p50Us, p99Us, serverCores } =
    interval
  const silent = deliveriesPerSecond === 0
  return [
    `${atS.toFixed(0).padStart(4)} s  ${phase.padEnd(8)}`,
    `${formatCount(connections)} connections`,
    `${formatRate(publishesPerSecond)} pub/s`,
    `${formatCount(deliveriesPerSecond)} del/s`,
    ...(silent ? [] : [`p50 ${formatUs(p50Us)}  p99 ${formatUs(p99Us)}`]),
    ...(serverCores === undefined ? [] : [`server ${formatCores(serverCores)} cores`]),
  ].join('  ')
}

/** The same for terminals of 80 columns, which is what most begin with. */
function shortLineOf(interval: Interval): string {
  const { atS, phase, connections, publishesPerSecond, deliveriesPerSecond, p50Us, p99Us, serverCores } =
    interval
  return [
    `${atS.toFixed(0)} s ${phase}`,
    `${formatCount(connections)} conn`,
    `${formatRate(publishesPerSecond)} pub/s`,
    `${formatCount(deliveriesPerSecond)} del/s`,
    ...(deliveriesPerSecond === 0 ? [] : [`p50 ${formatUs(p50Us)} p99 ${formatUs(p99Us)}`]),
    ...(serverCores === undefined ? [] : [`CPU ${formatCores(serverCores)}`]),
  ].join(' ')
}
