// Names of users: what a nickname may be, and when two count as the same. Any thread; pure.
// Invariant: two nicknames that look alike to people have one key, and only one of them can be had.

import { CallError } from '../failures.ts'

const NICKNAME_LENGTH_MIN = 2
const NICKNAME_LENGTH_MAX = 32
const DISPLAY_NAME_LENGTH_MAX = 64
/** What is looked at all: a compatibility form can be 18 times as long as what was sent. */
export const NAME_INPUT_LENGTH_MAX = 128

const NICKNAME = /^[\p{L}\p{Nd}](?:[\p{L}\p{Nd}._-]|\p{M}(?!\p{M}\p{M}))*$/u
/** Takes no room, whatever kind of character it is. */
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/u
/** Controls, private characters, and what turns the direction of the text around it; joiners belong to emoji and words. */
const HIDDEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u

/** Scripts that are written together; letters of two others in one nickname are a disguise. */
const SCRIPTS = [
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Latin}]*$/u,
  /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Latin}]*$/u,
  /^[\p{Script=Han}\p{Script=Bopomofo}\p{Script=Latin}]*$/u,
]

/**
 * Letters of other scripts that look like Latin ones, capital or small: a part of Unicode's confusables (UTS #39), as far as
 * it keeps names of one script apart from each other.
 */
const LOOKALIKES: ReadonlyMap<string, string> = new Map(
  [
    // Cyrillic
    ...zip('авеѕіјкмнорсԁтухһԛԝ', 'abesijkmhopcdtyxhqw'),
    // Greek
    ...zip('αβεζηικμνορτυχ', 'abezhikmvoptyx'),
    // Latin beside ASCII
    ...zip('ıſɑɡ', 'isag'),
  ].map(([other, latin]) => [other, latin]),
)

function zip(others: string, latins: string): [string, string][] {
  const letters = [...latins]
  return [...others].map((other, index) => [other, letters[index]!])
}

/** A nickname as it is kept, with its key. Throws `bad_request` and says what is wrong. */
export function readNickname(text: string): { nickname: string; key: string } {
  const nickname = text.normalize('NFKC')
  const length = [...nickname].length
  if (length < NICKNAME_LENGTH_MIN || length > NICKNAME_LENGTH_MAX) {
    const bounds = `${NICKNAME_LENGTH_MIN} to ${NICKNAME_LENGTH_MAX}`
    throw new CallError('bad_request', `nickname has ${length} characters; ${bounds} are allowed`)
  }
  if (!NICKNAME.test(nickname) || IGNORABLE.test(nickname)) {
    throw new CallError(
      'bad_request',
      'nickname may have letters, digits, ".", "_" and "-", and begins with a letter or digit',
    )
  }
  if (!isOfOneScript(nickname)) {
    throw new CallError('bad_request', 'nickname mixes letters of several alphabets')
  }
  return { nickname, key: foldName(nickname) }
}

/** What names are compared and found by. Never longer than a few times the name. */
export function foldName(name: string): string {
  // Upper case first: what differs in capitals only by chance (ß and ss, ς and σ) becomes the same.
  const upper = name.normalize('NFKC').toUpperCase()
  return [...upper]
    .map(letter => {
      const lower = letter.toLowerCase()
      return LOOKALIKES.get(lower) ?? lower
    })
    .join('')
    .normalize('NFC')
}

/** A display name as it is kept; `nickname` where it is empty. Throws `bad_request`. */
export function readDisplayName(text: string | undefined, nickname: string): string {
  const name = (text ?? '').normalize('NFC').trim().replace(/\s+/g, ' ')
  if (name === '') return nickname
  const shown = name.replace(/[\p{Default_Ignorable_Code_Point}\u2800]/gu, '')
  if (HIDDEN.test(name) || !/[\p{L}\p{N}\p{P}\p{S}]/u.test(shown)) {
    throw new CallError('bad_request', "display_name has characters that can't be seen")
  }
  if (/\p{M}{5}/u.test(name))
    throw new CallError('bad_request', 'display_name has too many marks on a letter')
  const length = [...name].length
  if (length > DISPLAY_NAME_LENGTH_MAX) {
    const allowed = `${DISPLAY_NAME_LENGTH_MAX} are allowed`
    throw new CallError('bad_request', `display_name has ${length} characters; ${allowed}`)
  }
  return name
}

function isOfOneScript(name: string): boolean {
  const letters = name.replace(/[\p{Script=Common}\p{Script=Inherited}]/gu, '')
  if (letters === '' || SCRIPTS.some(scripts => scripts.test(letters))) return true
  return ONE_SCRIPT.some(script => script.test(letters))
}

/** Of a letter's own script alone, for all that have lower and upper case or are in everyday use. */
const ONE_SCRIPT = [
  'Arabic',
  'Armenian',
  'Bengali',
  'Cyrillic',
  'Devanagari',
  'Ethiopic',
  'Georgian',
  'Greek',
  'Gujarati',
  'Gurmukhi',
  'Hebrew',
  'Kannada',
  'Khmer',
  'Lao',
  'Malayalam',
  'Mongolian',
  'Myanmar',
  'Oriya',
  'Sinhala',
  'Tamil',
  'Telugu',
  'Thaana',
  'Thai',
  'Tibetan',
].map(script => new RegExp(`^\\p{Script=${script}}+$`, 'u'))
