// Which part of a file a request asks for (RFC 9110, 14). Runs on a shard; pure. Invariant: at most one part, within the
// file.

export type Range =
  | Readonly<{ kind: 'whole' }>
  /** Both are inclusive. */
  | Readonly<{ kind: 'part'; first: number; last: number }>
  | Readonly<{ kind: 'unsatisfiable' }>

const WHOLE: Range = { kind: 'whole' }
const UNSATISFIABLE: Range = { kind: 'unsatisfiable' }

/** Digits of a position: more could not be counted exactly. */
const ONE_RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/

/**
 * `header`, `ifRange`: the request's fields, undefined where it has none. Who asks for several parts at once gets none: such
 * answers cost much more than they are asked with. What is no range of bytes is as if it weren't there.
 */
export function rangeOf(
  header: string | undefined,
  ifRange: string | undefined,
  etag: string,
  size: number,
): Range {
  // A part of what has changed meanwhile does not fit what the client has: then it gets the whole.
  if (header === undefined || (ifRange !== undefined && ifRange !== etag)) return WHOLE
  const value = header.replaceAll(/[ \t]/g, '').toLowerCase()
  if (/^bytes=.*,/.test(value)) return UNSATISFIABLE
  const [, from, to] = ONE_RANGE.exec(value) ?? []
  if (from === undefined || to === undefined || (from === '' && to === '')) return WHOLE
  if (from === '') return lastBytes(Number(to), size)
  const first = Number(from)
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1)
  if (to !== '' && Number(to) < first) return WHOLE
  return first < size ? { kind: 'part', first, last } : UNSATISFIABLE
}

function lastBytes(count: number, size: number): Range {
  if (count === 0 || size === 0) return UNSATISFIABLE
  return { kind: 'part', first: Math.max(0, size - count), last: size - 1 }
}

/** Whether the client has this version already (If-None-Match). */
export function isKnown(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  const tags = header.split(',').map(tag => tag.trim().replace(/^W\//, ''))
  return tags.includes(etag) || tags.includes('*')
}
