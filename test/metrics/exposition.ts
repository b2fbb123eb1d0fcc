// A strict reader of Prometheus' text format 0.0.4, for tests: it refuses what `promtool check metrics` and the
// format's rules refuse, so that no test needs the tool itself.

export type Series = {
  readonly name: string
  readonly labels: Record<string, string>
  readonly value: number
}

export type Family = {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly series: Series[]
}

const namePattern = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const sampleLine = new RegExp(`^(${namePattern})(?:\\{(.*)\\})? (\\S+)$`)
const commentLine = new RegExp(`^# (HELP|TYPE) (${namePattern}) (.+)$`)
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y

export function parseExposition(page: string): Map<string, Family> {
  if (!page.endsWith('\n')) throw new Error('the last line is not ended')
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  let current: Family | undefined
  let help: { name: string; text: string } | undefined
  for (const line of page.split('\n')) {
    if (line === '') continue
    const comment = commentLine.exec(line)
    if (comment?.[1] === 'HELP') {
      help = { name: comment[2]!, text: comment[3]! }
    } else if (comment?.[1] === 'TYPE') {
      const name = comment[2]!
      if (families.has(name)) throw new Error(`a second family ${name}`)
      if (help?.name !== name) throw new Error(`no help before the type of ${name}`)
      current = { name, type: comment[3]!, help: help.text, series: [] }
      families.set(name, current)
    } else {
      const series = parseSample(line)
      if (current === undefined || !belongs(series.name, current))
        throw new Error(`outside its family: ${line}`)
      const id = `${series.name}${JSON.stringify(Object.entries(series.labels).sort())}`
      if (seen.has(id)) throw new Error(`a second time: ${line}`)
      seen.add(id)
      current.series.push(series)
    }
  }
  for (const family of families.values()) checkFamily(family)
  return families
}

/** The value of one series, found by exactly these labels. */
export function sampleOf(
  families: Map<string, Family>,
  family: string,
  labels: Record<string, string> = {},
  name = family,
): number {
  const wanted = JSON.stringify(Object.entries(labels).sort())
  const found = families
    .get(family)
    ?.series.find(one => one.name === name && JSON.stringify(Object.entries(one.labels).sort()) === wanted)
  if (found === undefined) throw new Error(`no series ${name}${wanted}`)
  return found.value
}

function parseSample(line: string): Series {
  const match = sampleLine.exec(line)
  if (match === null) throw new Error(`neither a comment nor a sample: ${line}`)
  const labels: Record<string, string> = {}
  const text = match[2] ?? ''
  label.lastIndex = 0
  while (label.lastIndex < text.length) {
    const pair = label.exec(text)
    if (pair === null) throw new Error(`bad labels: ${line}`)
    if (pair[1]! in labels) throw new Error(`label twice: ${line}`)
    labels[pair[1]!] = pair[2]!
  }
  return { name: match[1]!, labels, value: parseValue(match[3]!, line) }
}

function parseValue(text: string, line: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  // Prometheus reads NaN in any case. prom-client gives one for an event-loop delay that it has not sampled yet.
  if (/^nan$/i.test(text) && !line.startsWith('fanwire_')) return Number.NaN
  const value = Number(text)
  if (Number.isNaN(value)) throw new Error(`not a number: ${line}`)
  return value
}

function belongs(name: string, family: Family): boolean {
  if (family.type !== 'histogram') return name === family.name
  return ['_bucket', '_sum', '_count'].some(suffix => name === family.name + suffix)
}

function checkFamily(family: Family): void {
  const { name, type, series } = family
  if (!['counter', 'gauge', 'histogram'].includes(type)) throw new Error(`type of ${name}: ${type}`)
  if (type === 'counter' && series.some(one => one.value < 0)) throw new Error(`a negative counter: ${name}`)
  if (type === 'histogram') checkHistogram(family)
}

/** Of each set of other labels: bounds ascend, counts never fall, +Inf is there and equals the count. */
function checkHistogram({ name, series }: Family): void {
  const groups = Map.groupBy(series, ({ labels: { le: _, ...others } }) => JSON.stringify(others))
  for (const group of groups.values()) {
    const buckets = group.filter(one => one.name === `${name}_bucket`)
    const bounds = buckets.map(one => parseValue(one.labels.le ?? '', `${name} le`))
    for (let index = 1; index < buckets.length; index += 1) {
      if (bounds[index]! <= bounds[index - 1]!) throw new Error(`bounds of ${name} do not ascend`)
      if (buckets[index]!.value < buckets[index - 1]!.value) throw new Error(`buckets of ${name} fall`)
    }
    const count = group.find(one => one.name === `${name}_count`)?.value
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || buckets.at(-1)?.value !== count) {
      throw new Error(`+Inf of ${name} is not its count`)
    }
    if (!group.some(one => one.name === `${name}_sum`)) throw new Error(`no sum of ${name}`)
  }
}
