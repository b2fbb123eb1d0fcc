// The parts of the report page, from the verdict on top down to the threads. Pure.
// Invariant: whatever the verdict calls not valid is marked as such wherever it is shown.

import type { LatencySummary, RunResult, Verdict } from '../model.ts'
import { type Html, html } from './html.ts'
import type { Plot, PlotUnit } from './plots.ts'
import { STAMP } from './tiles.ts'
import {
  formatBytes,
  formatCores,
  formatCount,
  formatDuration,
  formatRate,
  formatShare,
  formatUs,
  NOTHING,
} from './units.ts'

const TRANSPORTS = { ws: 'WebSocket', tcp: 'TCP', mixed: 'WebSocket and TCP' } as const
const PUBLISHERS = { api: 'HTTP API', client: 'client connections' } as const

export function masthead(result: RunResult): Html {
  const { load, target } = result
  const started = result.startedAt.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')
  return html`<header class="masthead">
<p class="wordmark"><span>fanwire</span> load test</p>
<h1>${result.scenario}</h1>
<p class="question">${result.question}</p>
<ul class="facts">
<li>${formatCount(load.subscribers)} subscribers</li>
<li>${formatCount(load.channels)} ${load.channels === 1 ? 'channel' : 'channels'}</li>
${load.rate === 0 ? undefined : html`<li>${formatRate(load.rate)} publications/s of ${formatCount(load.size)} bytes by ${PUBLISHERS[load.publish] ?? load.publish}</li>`}
<li>${TRANSPORTS[load.transport] ?? load.transport}</li>
<li>${target.name}${target.version === undefined ? '' : ` ${target.version}`}</li>
<li><time datetime="${result.startedAt}">${started}</time>, ${formatDuration(result.tookS)}</li>
</ul>
</header>`
}

type Mood = 'good' | 'limit' | 'bad'

/** A sign beside the color, for those who can't tell green from red. */
const SIGNS: Readonly<Record<Mood, Html>> = {
  good: html`<path d="M5 12.5l4.5 4.5L19 7.5"/>`,
  limit: html`<path d="M12 4.5v9M12 18.5v.1"/>`,
  bad: html`<path d="M6 6l12 12M18 6L6 18"/>`,
}

function moodOf({ exitCode, latencyValid }: Verdict): Mood {
  if (exitCode === 1) return 'bad'
  return exitCode === 0 && latencyValid ? 'good' : 'limit'
}

export function verdictBanner({ verdict, interrupted }: RunResult): Html {
  const mood = moodOf(verdict)
  // What the headline says already is not said again.
  const limits = verdict.generatorLimits.filter(line => !verdict.headline.includes(line))
  const faults = verdict.faults.filter(line => !verdict.headline.includes(line))
  const invalid =
    verdict.latencyValid || /not valid/i.test(verdict.headline)
      ? undefined
      : html`<p class="invalid-note">Latency figures are <strong>NOT VALID</strong>: the generator was the limit.</p>`
  return html`<section class="verdict ${mood}" aria-label="Verdict">
<svg class="sign" viewBox="0 0 24 24" aria-hidden="true">${SIGNS[mood]}</svg>
<div>
<h2>${verdict.headline}</h2>
${invalid}
${interrupted ? html`<p>Interrupted: this is what there was until then.</p>` : undefined}
${list(faults, 'Faults')}
${list(limits, 'What limited the generator')}
</div>
<p class="exit">exit code <b>${verdict.exitCode}</b></p>
</section>`
}

function list(lines: readonly string[], label: string): Html | undefined {
  if (lines.length === 0) return undefined
  return html`<ul aria-label="${label}">${lines.map(line => html`<li>${line}</li>`)}</ul>`
}

export function plotFigure(plot: Plot, phases: RunResult['phases'], valid: boolean): Html {
  const invalid = plot.isLatency && !valid
  const height = plot.wide === true ? ' wide' : ''
  return html`<figure class="plot${height}${invalid ? ' invalid' : ''}" id="${plot.id}">
<figcaption><h3 id="${plot.id}-title">${plot.title}</h3>${invalid ? STAMP : undefined}
<p class="note">${plot.note}</p></figcaption>
<div class="canvas" data-plot="${plot.id}"><p class="note">Drawn by a script; the table below has the same figures.</p></div>
<details><summary>Table: ${plot.title.toLowerCase()}</summary>
<div class="scroll" tabindex="0" role="region" aria-labelledby="${plot.id}-title">${plotTable(plot, phases)}</div></details>
</figure>`
}

/** The same rows as the points of the plot; its script takes the legend's texts from here. */
function plotTable({ id, x, xs, lines, unit }: Plot, phases: RunResult['phases']): Html {
  const head = x === 'time' ? 'seconds' : 'percentile'
  const phaseHead = x === 'time' ? html`<th scope="col">phase</th>` : undefined
  const cells = (row: number) => lines.map(({ values }) => html`<td>${plotValue(values[row]!, unit)}</td>`)
  const rowAt = (at: number, row: number) =>
    html`<tr><th scope="row">${x === 'time' ? at.toFixed(1) : percentileOf(at)}</th>${cells(row)}${
      x === 'time' ? html`<td>${phaseAt(phases, at)}</td>` : undefined
    }</tr>\n`
  return html`<table data-table="${id}"><thead><tr><th scope="col">${head}</th>${lines.map(
    ({ label }) => html`<th scope="col">${label}</th>`,
  )}${phaseHead}</tr></thead><tbody>${xs.map(rowAt)}</tbody></table>`
}

function plotValue(value: number | null, unit: PlotUnit): string {
  if (value === null) return NOTHING
  switch (unit) {
    case 'us':
      return formatUs(value)
    case '1/s':
      return `${formatRate(value)}/s`
    case 'cores':
      return formatCores(value)
    case 'bytes':
      return formatBytes(value)
    default:
      return unit satisfies never
  }
}

function phaseAt(phases: RunResult['phases'], atS: number): string {
  return phases.find(({ fromS, toS }) => atS > fromS && atS <= toS)?.name ?? ''
}

function percentileOf(x: number): string {
  return `${Number((100 * (1 - 1 / x)).toFixed(6))} %`
}

export function latencyTable({ latency, ledger, offered, verdict }: RunResult): Html | undefined {
  if (ledger.sent === 0) return undefined
  const rows: readonly (readonly [string, LatencySummary])[] = [
    ['every recipient', latency.all],
    ['first recipient', latency.first],
    ['last recipient', latency.last],
    ['publisher’s answer', offered.acknowledgement],
  ]
  const invalid = !verdict.latencyValid
  return html`<section class="card${invalid ? ' invalid' : ''}"><h2>Latency</h2>${invalid ? STAMP : undefined}
<p class="note">From the intended send time of a publication to the read of the receiver’s socket.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Latency"><table>
<thead><tr><th scope="col">to</th>${['p50', 'p90', 'p99', 'p99.9', 'max', 'count'].map(
    head => html`<th scope="col">${head}</th>`,
  )}</tr></thead>
<tbody>${rows.map(
    ([name, row]) =>
      html`<tr><th scope="row">${name}</th>${[row.p50Us, row.p90Us, row.p99Us, row.p999Us, row.maxUs].map(
        value => html`<td>${row.count === 0 ? NOTHING : formatUs(value)}</td>`,
      )}<td class="count">${formatCount(row.count)}</td></tr>`,
  )}</tbody></table></div></section>`
}

export function ledgerTable({ ledger }: RunResult): Html {
  const rows: readonly (readonly [label: string, value: number, note: string, isFault: boolean])[] = [
    ['sent', ledger.sent, 'publications that were due', false],
    ['acknowledged', ledger.acknowledged, 'answered by the server', false],
    ['refused', ledger.refused, 'answered with an error', false],
    ['unknown', ledger.unknown, 'the connection ended before the answer', false],
    ['expected', ledger.expected, 'deliveries that are owed', false],
    ['delivered', ledger.delivered, 'without duplicates', false],
    ['lost', ledger.lost, 'owed, and nobody said so', true],
    ['told lost', ledger.toldLost, 'owed, but the subscriber was told', false],
    ['duplicated', ledger.duplicated, 'came more than once', true],
    ['out of order', ledger.outOfOrder, 'came after a later one', true],
    ['recovered', ledger.recovered, 'by the answer to a resubscription', false],
    ['unreadable', ledger.unreadable, 'with our mark, but not of this run', true],
    ['overflowed', ledger.overflowed, 'subscriptions with more holes than are kept', true],
  ]
  return html`<section class="card"><h2>Ledger</h2>
<p class="note">Of the whole run, warm-up included.</p>
<table class="ledger"><tbody>${rows.map(
    ([label, value, note, isFault]) =>
      html`<tr${isFault && value > 0 ? html` class="bad"` : undefined}><th scope="row">${label}<small>${note}</small></th><td>${formatCount(value)}</td></tr>`,
  )}</tbody></table></section>`
}

export function remarks({ verdict }: RunResult): Html | undefined {
  if (verdict.remarks.length === 0) return undefined
  const lines = verdict.remarks.map(line => html`<li>${line}</li>`)
  return html`<section class="card"><h2>Remarks</h2><ul class="remarks">${lines}</ul></section>`
}

export function threads({ generator, offered, ledger }: RunResult): Html {
  const lateness = [offered.latenessP99Us, offered.latenessMaxUs].map(formatUs)
  const late =
    ledger.sent === 0 ? '' : ` Publications left late by p99 ${lateness[0]}, at most ${lateness[1]}.`
  return html`<section class="card"><h2>Generator</h2>
<p class="note">${formatCores(generator.cores)} cores, at most ${formatBytes(generator.bytesMax)}.${late}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Threads of the generator"><table>
<thead><tr><th scope="col">thread</th>${[
    'busy',
    'busiest second',
    'loop delay p99',
    'max',
    'waited for a core',
  ].map(head => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${generator.threads.map(
    thread =>
      html`<tr><th scope="row">${thread.name}</th><td>${formatShare(thread.utilization)}</td><td>${formatShare(thread.utilizationMax)}</td><td>${formatUs(thread.delayP99Us)}</td><td>${formatUs(thread.delayMaxUs)}</td><td>${thread.waitedForCore === undefined ? NOTHING : formatShare(thread.waitedForCore)}</td></tr>`,
  )}</tbody></table></div></section>`
}

export function setting(result: RunResult): Html {
  const { machine, load, target } = result
  const rows: readonly (readonly [string, string])[] = [
    ['machine', `${machine.cpu}, ${machine.cores} cores, ${formatBytes(machine.memoryBytes)}`],
    ['system', `${machine.system}, Node ${machine.node.replace(/^v/, '')}`],
    ['target', [target.name, target.version, target.url].filter(part => part !== undefined).join(', ')],
    ['revision', target.revision ?? NOTHING],
    ['measured', `${formatDuration(load.durationS)} a phase`],
    ['publishers', formatCount(load.publishers)],
    ['receiver threads', formatCount(load.receivers)],
    ['sources', load.sources.length === 0 ? 'chosen by the system' : load.sources.join(', ')],
    ['seed', String(load.seed)],
  ]
  return html`<section class="card"><h2>How it was measured</h2>
<p class="note">To repeat it:</p>
<pre tabindex="0" role="region" aria-label="Command"><code>${result.command}</code></pre>
<table class="setting"><tbody>${rows.map(
    ([label, value]) => html`<tr><th scope="row">${label}</th><td>${value}</td></tr>`,
  )}</tbody></table></section>`
}

/** Shorter ones only lie between two others. */
const PHASE_SHOWN_S = 0.1

export function phases(result: RunResult): Html {
  const shown = result.phases.filter(({ fromS, toS, measured }) => measured || toS - fromS >= PHASE_SHOWN_S)
  return html`<section class="card"><h2>Phases</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Phases"><table><thead><tr><th scope="col">phase</th><th scope="col">from</th><th scope="col">to</th><th scope="col">measured</th></tr></thead>
<tbody>${shown.map(
    ({ name, fromS, toS, measured }) =>
      html`<tr><th scope="row">${name}</th><td>${fromS.toFixed(1)} s</td><td>${toS.toFixed(1)} s</td><td>${measured ? 'yes' : 'no'}</td></tr>`,
  )}</tbody></table></div></section>`
}
