// What options there are: the schema as a flat list and as a tree to walk by path. Main thread, at start.
// Invariant: the name of every environment variable and flag follows from the path of its option alone.

import { distance } from 'fastest-levenshtein'
import { type Notes, notesOf, type OptionNotes, type SectionListNotes, type SectionNotes } from './option.ts'
import { configSchema } from './schema.ts'

/** Keys and, inside lists, indexes. */
export type Path = readonly (string | number)[]

export type Option = Readonly<{
  path: readonly string[]
  /** The dotted path, which is the name of its flag, too. */
  key: string
  /** Its environment variable. */
  variable: string
  notes: OptionNotes | SectionListNotes
}>

export const root = notesOf(configSchema) as SectionNotes

function collect(section: SectionNotes, path: readonly string[]): Option[] {
  return Object.entries(section.shape).flatMap(([name, schema]) => {
    const notes = notesOf(schema)
    const here = [...path, name]
    if (notes.kind === 'section') return collect(notes, here)
    return [{ path: here, key: here.join('.'), variable: `FANWIRE_${here.join('_').toUpperCase()}`, notes }]
  })
}

export const options: readonly Option[] = collect(root, [])

export const optionsByKey: ReadonlyMap<string, Option> = new Map(
  options.map(option => [option.key, option] as const),
)

/** What stands at a path, or the nearest above it that is known (a path into a list of texts ends at the list). */
export function notesAt(path: Path): Notes {
  let notes: Notes = root
  for (const part of path) {
    if (notes.kind === 'sections' && typeof part === 'number') notes = notes.element
    else if (notes.kind === 'section' && Object.hasOwn(notes.shape, part)) notes = notesOf(notes.shape[part]!)
    else return notes
  }
  return notes
}

/** channel.namespaces[0].history_size */
export function keyOf(path: Path): string {
  return path.reduce<string>(
    (key, part) => (typeof part === 'number' ? `${key}[${part}]` : key === '' ? part : `${key}.${part}`),
    '',
  )
}

/** The known key that is nearest to an unknown one: by its letters, or by its last name in another section. */
export function nearestKey(unknown: Path): string {
  const parent = unknown.slice(0, -1)
  const section = notesAt(parent)
  const siblings =
    section.kind === 'section' ? Object.keys(section.shape).map(name => keyOf([...parent, name])) : []
  const target = keyOf(unknown)
  const lastOf = (key: string) => key.slice(key.lastIndexOf('.') + 1)
  return nearestBy([...siblings, ...optionsByKey.keys()], key =>
    Math.min(distance(key, target), 1 + distance(lastOf(key), lastOf(target))),
  )
}

/** The nearest of some names; the first of several that are equally near. */
export function nearestName(unknown: string, names: readonly string[]): string {
  return nearestBy(names, name => distance(name, unknown))
}

function nearestBy(names: readonly string[], cost: (name: string) => number): string {
  let nearest = ''
  let lowest = Number.POSITIVE_INFINITY
  for (const name of names) {
    const costOfName = cost(name)
    if (costOfName < lowest) {
      nearest = name
      lowest = costOfName
    }
  }
  return nearest
}
