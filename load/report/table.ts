// The result for a terminal: the verdict on top, then what it rests on. Pure.
// Invariant: fits 100 columns, and says the same without colours.

import type { LatencySummary, LedgerTotals, RunResult } from '../model.ts'
import {
  formatBytes,
  formatCores,
  formatCount,
  formatRate,
  formatSeconds,
  formatShare,
  formatUs,
  formatValue,
} from './units.ts'

const COLUMNS = 100
const INDENT = '  '

type Paint = (style: 'bold' | 'red' | 'yellow' | 'green' | 'dim', text: string) => string

const STYLES = { bold: 1, red: 31, yellow: 33, green: 32, dim: 2 } as const

export function renderTable(result: RunResult, { color }: Readonly<{ color: boolean }>): string {
  const paint: Paint = (style, text) => (color ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text)
  const parts = [
    verdict(result, paint),
    what(result),
    ledger(result.ledger, paint),
    latency(result, paint),
    rates(result),
    server(result),
    generator(result),
    findings(result),
    list('Worth knowing', result.verdict.remarks),
  ]
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

function verdict({ verdict, interrupted }: RunResult, paint: Paint): string {
  const style = verdict.exitCode === 0 ? 'green' : verdict.exitCode === 1 ? 'red' : 'yellow'
  // The headline is the first of them already, where there are any.
  const more = [...verdict.faults, ...verdict.generatorLimits].filter(
    text => !verdict.headline.includes(text),
  )
  return [
    ...(interrupted ? [paint('yellow', 'INTERRUPTED: what follows is what there was until then.')] : []),
    ...wrapped(verdict.headline, '').map(line => paint('bold', paint(style, line))),
    ...more.flatMap(text => bullet(text)),
  ].join('\n')
}

function what({ scenario, question, load, target, machine }: RunResult): string {
  const shape = [
    `${formatCount(load.subscribers)} subscribers (${load.transport})`,
    `${formatCount(load.channels)} channels`,
    ...(load.rate > 0
      ? [`${formatCount(load.rate)} publications/s of ${formatCount(load.size)} bytes by ${publishers(load)}`]
      : []),
  ].join(', ')
  const version = [target.version, target.revision].filter(part => part !== undefined).join(' ')
  return [
    ...wrapped(`${scenario}: ${question}`, ''),
    ...wrapped(shape, INDENT),
    ...wrapped(`${target.name}${version === '' ? '' : ` ${version}`} at ${target.url}`, INDENT),
    ...wrapped(
      `${machine.cpu}, ${machine.cores} cores, ${formatBytes(machine.memoryBytes)}, ${machine.system}, Node ${machine.node}`,
      INDENT,
    ),
  ].join('\n')
}

function publishers({ publish, publishers }: RunResult['load']): string {
  const [one, many] =
    publish === 'api' ? ['connection to the API', 'connections to the API'] : ['client', 'clients']
  return `${formatCount(publishers)} ${publishers === 1 ? one : many}`
}

function ledger(totals: LedgerTotals, paint: Paint): string {
  const bad = (label: string, count: number) => {
    const text = `${label} ${formatCount(count)}`
    return count > 0 ? paint('red', text) : text
  }
  const rows = [
    [
      `published ${formatCount(totals.sent)}`,
      `acknowledged ${formatCount(totals.acknowledged)}`,
      `refused ${formatCount(totals.refused)}`,
      `unknown ${formatCount(totals.unknown)}`,
    ],
    [
      `deliveries owed ${formatCount(totals.expected)}`,
      `came ${formatCount(totals.delivered)}`,
      `recovered ${formatCount(totals.recovered)}`,
      `lost but told ${formatCount(totals.toldLost)}`,
    ],
    [
      bad('lost', totals.lost),
      bad('duplicated', totals.duplicated),
      bad('out of order', totals.outOfOrder),
      ...(totals.unreadable > 0 ? [bad('unreadable', totals.unreadable)] : []),
      ...(totals.overflowed > 0 ? [bad('subscriptions with too many holes', totals.overflowed)] : []),
    ],
  ]
  return ['Ledger (whole run)', ...rows.map(row => INDENT + row.join('   '))].join('\n')
}

const LATENCY_COLUMNS = ['p50', 'p90', 'p99', 'p99.9', 'max'] as const

function latency({ latency, verdict }: RunResult, paint: Paint): string {
  if (latency.all.count === 0) return ''
  const row = (label: string, { count, p50Us, p90Us, p99Us, p999Us, maxUs }: LatencySummary) => {
    const figures = [p50Us, p90Us, p99Us, p999Us, maxUs].map(us =>
      (count === 0 ? '–' : formatUs(us)).padStart(11),
    )
    return `${INDENT}${label.padEnd(18)}${figures.join('')}${formatCount(count).padStart(15)}`
  }
  const title = 'Latency from the intended time'
  const mark = verdict.latencyValid ? '' : paint('yellow', '  NOT VALID: the generator was the limit')
  const head = LATENCY_COLUMNS.map(name => name.padStart(11)).join('')
  return [
    `${title}${mark}`,
    `${INDENT}${'to'.padEnd(18)}${head}${'of'.padStart(15)}`,
    row('every recipient', latency.all),
    row('the first', latency.first),
    row('the last', latency.last),
  ].join('\n')
}

function rates({ offered, deliveriesPerSecond }: RunResult): string {
  if (offered.wantedPerSecond === 0) return ''
  return [
    'Rates (measured phases)',
    `${INDENT}published ${formatRate(offered.sentPerSecond)}/s of ${formatRate(offered.wantedPerSecond)}/s, ` +
      `late by p99 ${formatUs(offered.latenessP99Us)}, max ${formatUs(offered.latenessMaxUs)}`,
    `${INDENT}delivered ${formatRate(deliveriesPerSecond)}/s`,
    ...(offered.acknowledgement.count === 0
      ? []
      : [
          `${INDENT}acknowledged after p50 ${formatUs(offered.acknowledgement.p50Us)}, ` +
            `p99 ${formatUs(offered.acknowledgement.p99Us)}`,
        ]),
  ].join('\n')
}

function server({ server, target }: RunResult): string {
  if (server === undefined) return ''
  const isMeasured = server.cores > 0
  const shards = server.shardUtilizations?.map(share => formatShare(share)).join(', ')
  return [
    `Server (${target.name})`,
    ...(isMeasured
      ? [
          `${INDENT}processor ${formatCores(server.cores)} cores` +
            (server.cpuUsPerDelivery > 0 ? `, ${formatUs(server.cpuUsPerDelivery)} a delivery` : '') +
            (shards === undefined ? '' : `; shards busy ${shards}`),
        ]
      : []),
    `${INDENT}memory ${formatBytes(server.bytesBefore)} before, ${formatBytes(server.bytesMax)} at most, ` +
      `${formatBytes(server.bytesAfter)} after`,
  ].join('\n')
}

function generator({ generator }: RunResult): string {
  if (generator.threads.length === 0) return ''
  const rows = generator.threads.map(thread => {
    const waited = thread.waitedForCore === undefined ? '–' : formatShare(thread.waitedForCore)
    return (
      INDENT +
      thread.name.padEnd(18) +
      formatShare(thread.utilization).padStart(11) +
      formatShare(thread.utilizationMax).padStart(11) +
      formatUs(thread.delayP99Us).padStart(11) +
      formatUs(thread.delayMaxUs).padStart(11) +
      waited.padStart(15)
    )
  })
  const head = ['busy', 'at most', 'delay p99', 'delay max'].map(name => name.padStart(11)).join('')
  return [
    `Generator: ${formatCores(generator.cores)} cores, ${formatBytes(generator.bytesMax)} at most`,
    `${INDENT}${'thread'.padEnd(18)}${head}${'no core for'.padStart(15)}`,
    ...rows,
  ].join('\n')
}

function findings({ findings }: RunResult): string {
  if (findings.length === 0) return ''
  const width = Math.max(...findings.map(({ label }) => label.length))
  return [
    'Findings',
    ...findings.flatMap(({ label, value, unit, note }) =>
      wrapped(
        `${label.padEnd(width)}  ${formatValue(value, unit)}${note === undefined ? '' : ` (${note})`}`,
        INDENT,
        ' '.repeat(4),
      ),
    ),
  ].join('\n')
}

function list(title: string, texts: readonly string[]): string {
  return texts.length === 0 ? '' : [title, ...texts.flatMap(text => bullet(text))].join('\n')
}

function bullet(text: string): string[] {
  return wrapped(text, `${INDENT}- `, `${INDENT}  `)
}

/** Lines of at most COLUMNS, cut between words. Spaces within the text stay, since they align. */
function wrapped(text: string, first: string, others = first): string[] {
  const lines: string[] = []
  let line = first
  let empty = true
  for (const word of text.split(/(?<=\S)(?= )/)) {
    if (!empty && line.length + word.length > COLUMNS) {
      lines.push(line)
      line = others + word.trimStart()
    } else {
      line += empty ? word.trimStart() : word
    }
    empty = false
  }
  return [...lines, line]
}

/** Several runs of the same load, one a line. */
export function renderRuns(runs: readonly RunResult[], shown: RunResult): string {
  const row = (cells: readonly string[]) =>
    INDENT + cells.map((cell, column) => cell.padStart(column === 0 ? 5 : 14)).join('')
  const hasInvalid = shown.verdict.latencyValid && runs.some(({ verdict }) => !verdict.latencyValid)
  return `${[
    `${runs.length} runs; above is the one in the middle by p99${hasInvalid ? ', of those with valid latency' : ''}`,
    row(['', 'p50', 'p99', 'p99 to last', 'deliveries/s', 'per delivery', 'exit code']),
    ...runs.map((run, index) =>
      row([
        `${index + 1}${run === shown ? ' *' : ''}`,
        formatUs(run.latency.all.p50Us),
        formatUs(run.latency.all.p99Us),
        formatUs(run.latency.last.p99Us),
        formatRate(run.deliveriesPerSecond),
        run.server === undefined ? '–' : formatUs(run.server.cpuUsPerDelivery),
        String(run.verdict.exitCode),
      ]),
    ),
  ].join('\n')}\n`
}

/** For the end: how long it took and what was written. */
export function renderFiles(runs: readonly RunResult[], files: readonly string[]): string {
  const tookS = runs.reduce((sum, run) => sum + run.tookS, 0)
  return `${[`Took ${formatSeconds(tookS)}.`, ...files.map(file => `Written: ${file}`)].join('\n')}\n`
}
