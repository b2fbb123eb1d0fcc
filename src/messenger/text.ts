// What a text of a message may be. Any thread; pure.

import { CallError } from './failures.ts'

/** C0, DEL and C1, without tab and line feed: nothing that a terminal or a log would act on. */
const CONTROL = /(?![\t\n])\p{Cc}/u

/** In one Unicode form, without what is invisible at its end. Throws `bad_request` or `too_large`. */
export function cleanText(given: string, charactersMax: number): string {
  if (!given.isWellFormed()) throw new CallError('bad_request', 'text: half a character')
  const text = given.replaceAll('\r\n', '\n').normalize('NFC').trimEnd()
  const control = CONTROL.exec(text)
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).padStart(4, '0')
    throw new CallError('bad_request', `text: control character U+${code.toUpperCase()}`)
  }
  const characters = charactersOf(text, charactersMax)
  if (characters > charactersMax) {
    throw new CallError('too_large', `text: ${characters} characters, of at most ${charactersMax}`)
  }
  return text
}

/** Counted exactly only where it matters. */
function charactersOf(text: string, charactersMax: number): number {
  return text.length <= charactersMax ? text.length : [...text].length
}

/** An emoji as it is shown in colour, or undefined: the text is none. */
export function emojiOf(text: string): string | undefined {
  if (EMOJI.test(text)) return text
  // As many keyboards send it: without the selector that asks for the picture.
  const selected = `${text}\ufe0f`
  return EMOJI.test(selected) ? selected : undefined
}

const EMOJI = /^\p{RGI_Emoji}$/v
