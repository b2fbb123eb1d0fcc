// The configuration file as a layer: YAML, of which JSON is a part. Main thread, at start.
// Invariant: no message repeats a piece of the file, since any line may hold a secret.

import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml'
import { ConfigError } from '../base/errors.ts'
import { notesOf, type SectionNotes } from './option.ts'
import type { Layer, Setting } from './sources.ts'
import { keyOf, nearestKey, type Path, root } from './tree.ts'

/** @param file its path, for messages only */
export function readConfigText(text: string, file: string): Layer {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const problem = document.errors[0] ?? document.warnings[0]
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0])
    throw new ConfigError(
      `${file}, line ${line}, column ${col}: ${withoutSource(problem.code, problem.message)}`,
    )
  }
  const layer = new Map<string, Setting>()
  const originOf = (path: Path) => `set in ${file}${placeOf(document, lines, path)}`
  collect(plainValueOf(document, file), root, [], { layer, originOf })
  return layer
}

/** What the parser quotes stands after a colon, but for names of tags. */
function withoutSource(code: string, message: string): string {
  if (code === 'TAG_RESOLVE_FAILED') return 'unknown tag (a text that begins with "!" needs quotes)'
  return message.replace(/(?<=\S): .*$/s, '')
}

function plainValueOf(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    throw new ConfigError(
      `${file}: an alias has no anchor (a text that begins with "*" needs quotes), or there are too many`,
    )
  }
}

/** The line of the key, or of the nearest thing around it that is written down. */
function placeOf(document: Document, lines: LineCounter, path: Path): string {
  for (let length = path.length; length > 0; length--) {
    const offset = offsetOf(document, path.slice(0, length))
    if (offset !== undefined) return `, line ${lines.linePos(offset).line}`
  }
  return ''
}

function offsetOf(document: Document, path: Path): number | undefined {
  const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true)
  if (!isMap(parent)) return rangeStart(document.getIn(path, true))
  const pair = parent.items.find(({ key }) => isScalar(key) && key.value === path.at(-1))
  return rangeStart(pair?.key)
}

function rangeStart(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}

type Collected = Readonly<{ layer: Map<string, Setting>; originOf: (path: Path) => string }>

function collect(value: unknown, section: SectionNotes, path: Path, into: Collected): void {
  // A section whose lines are all commented out is null.
  if (value === null || value === undefined) return
  if (typeof value !== 'object' || Array.isArray(value)) {
    const what = path.length === 0 ? 'the configuration' : keyOf(path)
    throw new ConfigError(
      `${what}: must be a section with the keys ${Object.keys(section.shape).join(', ')} (${into.originOf(path)})`,
    )
  }
  for (const [name, inner] of Object.entries(value)) {
    const here = [...path, name]
    if (!Object.hasOwn(section.shape, name)) {
      throw new ConfigError(unknownKeyMessage(here, into.originOf(here)))
    }
    const notes = notesOf(section.shape[name]!)
    if (notes.kind === 'section') collect(inner, notes, here, into)
    else into.layer.set(keyOf(here), { value: inner, originOf: into.originOf })
  }
}

export function unknownKeyMessage(path: Path, origin: string): string {
  return `unknown key ${keyOf(path)} (${origin}); the nearest known one is ${nearestKey(path)}`
}
