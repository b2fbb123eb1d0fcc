// Text as the full-text indexes compare it: without case and accents, each place of it traced back to the original. Any
// thread; pure. Where the indexes fold differently (rare letters), a hit is only not highlighted there.

/** Marks are part of a word and count for nothing; characters for private use are letters to the index. */
const WORD = /[\p{L}\p{N}\p{Co}\p{M}]+/gu
/** The same, many times as quick. */
const ASCII_WORD = /[a-z0-9]+/g
const MARKS = /\p{M}+/gu
const HANGUL_FIRST = 0xac00
const HANGUL_LAST = 0xd7a3
const ASCII_LAST = 0x7f
const BEYOND_ASCII = /[^\0-\x7f]/

/** `start`, `end`: UTF-16 units of the original. */
export type Word = Readonly<{ folded: string; start: number; end: number }>

export function words(text: string): Word[] {
  const found: Word[] = []
  if (isAscii(text)) {
    for (const match of text.toLowerCase().matchAll(ASCII_WORD)) {
      found.push({ folded: match[0], start: match.index, end: match.index + match[0].length })
    }
    return found
  }
  for (const match of text.matchAll(WORD)) {
    const folded = fold(match[0])
    if (folded !== '') found.push({ folded, start: match.index, end: match.index + match[0].length })
  }
  return found
}

export function fold(text: string): string {
  if (isAscii(text)) return text.toLowerCase()
  let folded = ''
  for (const character of text) folded += foldCharacter(character)
  return folded
}

/** `starts[i]`: where in the original the character stands that unit i of the folded text came from; one more at the end. */
export type Traced = Readonly<{ folded: string; starts: readonly number[] }>

export function trace(text: string): Traced {
  const starts: number[] = []
  let folded = ''
  let at = 0
  for (const character of text) {
    const part = foldCharacter(character)
    for (let unit = 0; unit < part.length; unit++) starts.push(at)
    folded += part
    at += character.length
  }
  starts.push(at)
  return { folded, starts }
}

function foldCharacter(character: string): string {
  const code = character.codePointAt(0)!
  if (code <= ASCII_LAST) return character.toLowerCase()
  // Syllables stay whole: their parts are no accents.
  const isWhole = code >= HANGUL_FIRST && code <= HANGUL_LAST
  const plain = isWhole ? character : character.normalize('NFD').replace(MARKS, '')
  return plain.toLowerCase().replace(MARKS, '')
}

function isAscii(text: string): boolean {
  return !BEYOND_ASCII.test(text)
}
