// The comparison as text: for the terminal in columns, for a README as Markdown. Pure.
// Invariant: every figure that the load generator limited is marked as such, and every mark is explained below.

import type { Machine } from '../model.ts'
import { formatBytes, formatCount, formatUs, NOTHING } from '../report/units.ts'
import {
  type Figure,
  figureOf,
  figuresOf,
  kneeOf,
  type PeerResult,
  type PeersResult,
  type Shape,
  type ShapeFigures,
} from './result.ts'

/** The first row says what the columns are. */
type Table = readonly (readonly string[])[]

const GENERATOR_MARK = ' *'
const FULL = 'full'
/** The error, and the first thing that the server said of it. */
const TROUBLE_LINES_MAX = 2

export function renderText(result: PeersResult): string {
  return [
    headOf(result),
    ...tablesOf(result).map(({ title, table }) => `${title}\n${columns(table)}`),
    notesOf(result).join('\n'),
  ].join('\n\n')
}

export function renderMarkdown(result: PeersResult): string {
  return [
    headOf(result),
    ...tablesOf(result).map(({ title, table }) => `${title}:\n\n${markdown(table)}`),
    notesOf(result)
      .map(note => `- ${note}`)
      .join('\n'),
    `\`\`\`sh\n${result.command}\n\`\`\``,
  ].join('\n\n')
}

function headOf({ machine, size, rounds, secondsEach }: PeersResult): string {
  const median =
    rounds === 1
      ? `one round of ${secondsEach} s`
      : `medians of ${rounds} rounds of ${secondsEach} s, in which the servers take turns`
  return (
    `${machineText(machine)}; a payload has ${size} bytes; ${median}; ` +
    'server, receivers and publisher share the machine.'
  )
}

function machineText({ cpu, cores, memoryBytes, system, node }: Machine): string {
  return `${cpu}, ${cores} cores, ${formatBytes(memoryBytes)}, ${system}, Node ${node}`
}

function tablesOf(result: PeersResult): ReadonlyArray<Readonly<{ title: string; table: Table }>> {
  const { peers, shapes } = result
  const base = peers[0]
  const measured = shapes.filter(({ name }) => peers.some(peer => (peer.shapes[name] ?? []).length > 0))
  const tables = []
  if (base !== undefined && measured.length > 0) {
    tables.push({
      title: `Processor time of the server for each delivery, and as a multiple of ${base.title}`,
      table: [
        ['', ...measured.map(shape => shape.title)],
        ...peers.map(peer => [nameOf(peer), ...measured.map(shape => cpuCell(peer, base, shape))]),
      ],
    })
    tables.push({
      title: 'From the intended send time of a publication to its last recipient, p50 / p99',
      table: [
        ['', ...measured.map(shape => shape.title)],
        ...peers.map(peer => [nameOf(peer), ...measured.map(shape => latencyCell(peer, shape))]),
      ],
    })
  }
  const limits = limitsTable(result)
  return limits === undefined ? tables : [...tables, limits]
}

/** The columns for which something was measured. */
function limitsTable(result: PeersResult): Readonly<{ title: string; table: Table }> | undefined {
  const { peers, kneeSubscribers, kneeP99Ms, idleConnections } = result
  const withKnee = peers.some(({ knee }) => knee.length > 0)
  const withIdle = peers.some(({ idle }) => idle.length > 0)
  if (!withKnee && !withIdle) return undefined
  const connections = formatCount(idleConnections)
  const header = [
    ...(withKnee ? [`highest clean rate, ${kneeSubscribers} subscribers`] : []),
    ...(withIdle ? [`memory of an idle connection (of ${connections})`, 'connects and subscribes'] : []),
  ]
  const rows = peers.map(peer => [
    nameOf(peer),
    ...(withKnee ? [kneeCell(peer, kneeSubscribers)] : []),
    ...(withIdle ? idleCells(peer) : []),
  ])
  const clean = `clean: nothing lost, and p99 to the last recipient not above ${kneeP99Ms} ms`
  return { title: withKnee ? `Limits (${clean})` : 'Connections', table: [['', ...header], ...rows] }
}

function nameOf({ title, version }: PeerResult): string {
  return `${title} ${version}`
}

function figuresFor(peer: PeerResult, { name }: Shape): ShapeFigures | undefined {
  return figuresOf(peer.shapes[name] ?? [])
}

function cpuCell(peer: PeerResult, base: PeerResult, shape: Shape): string {
  const figures = figuresFor(peer, shape)
  if (figures === undefined) return NOTHING
  if (figures.state === 'full') return FULL
  const { state, cpuUs } = figures
  if (cpuUs === undefined) return NOTHING
  const baseUs = figuresFor(base, shape)?.cpuUs?.median
  const ratio = baseUs === undefined ? '' : ` (${(cpuUs.median / baseUs).toFixed(2)} ×)`
  // A server that has to wait for its clients sends more at once, which is cheaper.
  return `${cpuUs.median.toPrecision(3)} µs${ratio}${state === 'generator' ? GENERATOR_MARK : ''}`
}

function latencyCell(peer: PeerResult, shape: Shape): string {
  const figures = figuresFor(peer, shape)
  if (figures === undefined) return NOTHING
  if (figures.state === 'full') return FULL
  const { state, lastP50Us, lastP99Us } = figures
  // The limit of the generator makes all of them invalid, not only those of the rounds in which it was.
  if (state === 'generator') return `${NOTHING}${GENERATOR_MARK}`
  return `${us(lastP50Us)} / ${us(lastP99Us)}`
}

function kneeCell(peer: PeerResult, subscribers: number): string {
  const knee = kneeOf(peer.knee)
  if (knee === undefined) return NOTHING
  const { figure, atLeast } = knee
  const bound = atLeast ? '≥ ' : ''
  return `${bound}${formatCount(figure.median)}/s = ${bound}${formatCount(figure.median * subscribers)} deliveries/s`
}

function idleCells({ idle }: PeerResult): string[] {
  const bytes = figureOf(idle.map(one => one.bytesPerConnection))
  const connects = figureOf(idle.map(one => one.connectsPerSecond))
  return [
    bytes === undefined ? NOTHING : formatBytes(bytes.median),
    connects === undefined ? NOTHING : `${formatCount(connects.median)}/s`,
  ]
}

function us(figure: Figure | undefined): string {
  return figure === undefined ? NOTHING : formatUs(figure.median)
}

function notesOf(result: PeersResult): string[] {
  const { peers, shapes, troubles, missing } = result
  const states = peers.flatMap(peer => shapes.map(shape => [peer, shape, figuresFor(peer, shape)] as const))
  const full = states.filter(([, , figures]) => figures?.state === 'full')
  return [
    ...peers.map(peer => `${nameOf(peer)}: ${peer.settings}.`),
    ...full.map(([peer, shape, figures]) => `full: ${peer.title} at ${shape.title}: ${figures!.why}.`),
    ...(states.some(([, , figures]) => figures?.state === 'generator')
      ? [
          '*: the load generator was the limit: the latency is not the server’s, and the processor time may be too low.',
        ]
      : []),
    ...(peers.some(({ knee }) => kneeOf(knee)?.atLeast)
      ? ['≥: beyond that the load generator was the limit and not the server, or nothing was tried.']
      : []),
    ...troubles.map(
      trouble =>
        `not measured: ${trouble
          .split(/\s*\n\s*/)
          .slice(0, TROUBLE_LINES_MAX)
          .join(' ')}.`,
    ),
    ...missing.map(({ title, install }) => `not installed: ${title}. To have it in the table: ${install}.`),
  ]
}

const COLUMN_GAP = '  '

function columns(table: Table): string {
  const widths = table[0]!.map((_, column) => Math.max(...table.map(row => row[column]!.length)))
  return table
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join(COLUMN_GAP)
        .trimEnd(),
    )
    .join('\n')
}

function markdown(table: Table): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const [header, ...rows] = table
  return [line(header!), `|${'---|'.repeat(header!.length)}`, ...rows.map(line)].join('\n')
}
