// Finds the exact text of a member inside a JSON text that JSON.parse has already accepted. Any thread.
// Payloads pass through the relay as the text the publisher wrote: numbers keep all their digits, and nothing is
// serialized again (JSON.stringify recurses, so a deep payload could exhaust the stack; this scanner does not).

/** A client's payload may nest so deep; real ones stay under ten, and parsers of other languages give up at 100. */
export const PAYLOAD_DEPTH_MAX = 64

export type RawMember = { kind: 'found'; text: string } | { kind: 'absent' } | { kind: 'too_deep' }

const ABSENT: RawMember = { kind: 'absent' }
const TOO_DEEP: RawMember = { kind: 'too_deep' }

/**
 * The raw text of `json[member]`, or of `json[parent][member]`.
 * Of a repeated key the last counts, as in JSON.parse.
 */
export function rawMember(json: string, member: string, parent?: string): RawMember {
  let start = skipSpace(json, 0)
  if (parent !== undefined) {
    start = memberStart(json, start, parent)
    if (start < 0 || json.charCodeAt(start) !== BRACE_OPEN) return ABSENT
  }
  const valueStart = memberStart(json, start, member)
  if (valueStart < 0) return ABSENT
  depthReached = 0
  const valueEnd = skipValue(json, valueStart)
  if (depthReached > PAYLOAD_DEPTH_MAX) return TOO_DEEP
  return { kind: 'found', text: withoutLineBreaks(json.slice(valueStart, valueEnd)) }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const BRACE_OPEN = 0x7b
const BRACE_CLOSE = 0x7d
const BRACKET_OPEN = 0x5b
const BRACKET_CLOSE = 0x5d
const COMMA = 0x2c
const COLON = 0x3a

/** Out parameter of skipValue: a returned pair would cost an allocation per publication. */
let depthReached = 0

/** Where the value of the last member of that name begins in the object that begins at `start`; −1: no such member. */
function memberStart(json: string, start: number, name: string): number {
  let found = -1
  let at = skipSpace(json, start + 1)
  while (json.charCodeAt(at) !== BRACE_CLOSE) {
    const keyEnd = skipString(json, at)
    const same = isKey(json, at, keyEnd, name)
    at = skipSpace(json, keyEnd)
    if (json.charCodeAt(at) !== COLON) return -1
    at = skipSpace(json, at + 1)
    if (same) found = at
    at = skipSpace(json, skipValue(json, at))
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1)
  }
  return found
}

function isKey(json: string, start: number, end: number, name: string): boolean {
  if (end - start - 2 === name.length && json.startsWith(name, start + 1)) return true
  const raw = json.slice(start, end)
  return raw.includes('\\') && JSON.parse(raw) === name
}

function skipValue(json: string, start: number): number {
  const first = json.charCodeAt(start)
  if (first === QUOTE) return skipString(json, start)
  if (first !== BRACE_OPEN && first !== BRACKET_OPEN) return skipScalar(json, start)
  let depth = 0
  for (let at = start; at < json.length; at++) {
    const code = json.charCodeAt(at)
    if (code === QUOTE) at = skipString(json, at) - 1
    else if (code === BRACE_OPEN || code === BRACKET_OPEN) {
      depth++
      if (depth > depthReached) depthReached = depth
    } else if (code === BRACE_CLOSE || code === BRACKET_CLOSE) {
      depth--
      if (depth === 0) return at + 1
    }
  }
  return json.length
}

function skipString(json: string, start: number): number {
  let at = start + 1
  for (;;) {
    const quote = json.indexOf('"', at)
    if (quote < 0) return json.length
    let backslashes = 0
    while (json.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return quote + 1
    at = quote + 1
  }
}

function skipScalar(json: string, start: number): number {
  let at = start
  while (at < json.length) {
    const code = json.charCodeAt(at)
    if (code === COMMA || code === BRACE_CLOSE || code === BRACKET_CLOSE || isSpace(code)) return at
    at++
  }
  return at
}

function skipSpace(json: string, start: number): number {
  let at = start
  while (isSpace(json.charCodeAt(at))) at++
  return at
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

/** A line break in valid JSON can only stand between tokens; in our line protocol it would end the message. */
function withoutLineBreaks(raw: string): string {
  return raw.includes('\n') || raw.includes('\r') ? raw.replace(/[\r\n]+/g, ' ') : raw
}

/** The raw texts of the elements of the array `json[member]`; undefined: there is no such array. */
export function rawElements(json: string, member: string): string[] | undefined {
  const start = memberStart(json, skipSpace(json, 0), member)
  if (start < 0 || json.charCodeAt(start) !== BRACKET_OPEN) return undefined
  const elements: string[] = []
  let at = skipSpace(json, start + 1)
  while (at < json.length && json.charCodeAt(at) !== BRACKET_CLOSE) {
    const end = skipValue(json, at)
    elements.push(json.slice(at, end))
    at = skipSpace(json, end)
    if (json.charCodeAt(at) === COMMA) at = skipSpace(json, at + 1)
  }
  return elements
}
