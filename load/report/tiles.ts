// The tiles of the report page: the figures that one looks for first. Pure.
// Invariant: what was not measured is a dash, and latencies that are not valid are struck through.

import type { Finding, LatencySummary, RunResult } from '../model.ts'
import { type Html, html } from './html.ts'
import {
  formatBytes,
  formatCores,
  formatCount,
  formatRate,
  formatShare,
  formatUs,
  formatValue,
  isLatencyUnit,
  NOTHING,
} from './units.ts'

/** Beside whatever the verdict calls not valid. */
export const STAMP = html`<span class="stamp">not valid</span>`

type Figure = Readonly<{ label: string; value: string; bad?: boolean }>
type Tile = Readonly<{ title: string; figures: readonly Figure[]; note: string; isLatency?: boolean }>

const UNSEEN = 'its process could not be seen'

/** Rows of three, on wide screens; the first only where something was published. */
export function tiles(result: RunResult): Html {
  const published = [deliveries(result), toEveryRecipient(result), toLastRecipient(result)]
  const always = [processorTime(result), ledger(result), memory(result)]
  const all = result.ledger.sent === 0 ? always : [...published, ...always]
  return html`<section class="tiles" aria-label="Key figures">
${all.map(tile => markupOf(tile, result.verdict.latencyValid))}
</section>`
}

/** What only this scenario tells. */
export function findings({ findings: found, scenario, verdict }: RunResult): Html | undefined {
  if (found.length === 0) return undefined
  return html`<section aria-label="Findings of ${scenario}"><dl class="tiles findings">
${found.map(finding => findingMarkup(finding, !verdict.latencyValid && isLatencyUnit(finding.unit)))}
</dl></section>`
}

function findingMarkup({ label, value, unit, note }: Finding, invalid: boolean): Html {
  return html`<div class="tile${invalid ? ' invalid' : ''}">
<dt>${label}${invalid ? STAMP : undefined}</dt><dd>${formatValue(value, unit)}</dd>
${note === undefined ? undefined : html`<dd class="note">${note}</dd>`}
</div>
`
}

function markupOf({ title, figures, note, isLatency = false }: Tile, latencyValid: boolean): Html {
  const invalid = isLatency && !latencyValid
  return html`<div class="tile${invalid ? ' invalid' : ''}">
<h3>${title}</h3>${invalid ? STAMP : undefined}
<dl>${figures.map(
    ({ label, value, bad }) =>
      html`<div${bad === true ? html` class="bad"` : undefined}><dt>${label}</dt><dd>${value}</dd></div>`,
  )}</dl>
<p class="note">${note}</p>
</div>
`
}

function deliveries({ deliveriesPerSecond, offered }: RunResult): Tile {
  return {
    title: 'Deliveries',
    figures: [{ label: 'a second', value: formatRate(deliveriesPerSecond) }],
    note: `${formatRate(offered.sentPerSecond)} publications/s sent of ${formatRate(offered.wantedPerSecond)}`,
  }
}

function toEveryRecipient({ latency: { all } }: RunResult): Tile {
  return {
    title: 'Latency to every recipient',
    isLatency: true,
    figures: [time(all, 'p50', all.p50Us), time(all, 'p99', all.p99Us), time(all, 'p99.9', all.p999Us)],
    note:
      all.count === 0
        ? 'nothing was delivered in the measured phases'
        : `highest ${formatUs(all.maxUs)} of ${formatCount(all.count)}`,
  }
}

function toLastRecipient({ latency: { first, last } }: RunResult): Tile {
  return {
    title: 'Latency to the last recipient',
    isLatency: true,
    figures: [time(last, 'p50', last.p50Us), time(last, 'p99', last.p99Us)],
    note:
      last.count === 0
        ? 'no publication is known to have reached all'
        : `first recipient: p50 ${formatUs(first.p50Us)}`,
  }
}

function time({ count }: LatencySummary, label: string, us: number): Figure {
  return { label, value: count === 0 ? NOTHING : formatUs(us) }
}

function processorTime({ server, ledger: { delivered } }: RunResult): Tile {
  const shards = server?.shardUtilizations ?? []
  const seen =
    shards.length === 0 ? 'mean of the measured phases' : `shards busy ${shards.map(formatShare).join(', ')}`
  const each = server === undefined || delivered === 0 ? NOTHING : formatUs(server.cpuUsPerDelivery)
  return {
    title: 'Server processor time',
    figures: [
      { label: 'a delivery', value: each },
      { label: 'cores', value: server === undefined ? NOTHING : formatCores(server.cores) },
    ],
    note: server === undefined ? UNSEEN : seen,
  }
}

function ledger({ ledger: { lost, duplicated, outOfOrder, delivered, expected } }: RunResult): Tile {
  const count = (label: string, value: number) => ({ label, value: formatCount(value), bad: value > 0 })
  return {
    title: 'Ledger',
    figures: [count('lost', lost), count('duplicated', duplicated), count('out of order', outOfOrder)],
    note: `${formatCount(delivered)} of ${formatCount(expected)} delivered`,
  }
}

function memory({ server }: RunResult): Tile {
  return {
    title: 'Server memory',
    figures: [{ label: 'highest', value: server === undefined ? NOTHING : formatBytes(server.bytesMax) }],
    note:
      server === undefined
        ? UNSEEN
        : `${formatBytes(server.bytesBefore)} before, ${formatBytes(server.bytesAfter)} after`,
  }
}
