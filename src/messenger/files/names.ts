// Names of files as they are shown and offered for saving. Any thread; pure. What a sender calls a file is never part of a
// path here, but receivers save it under this name: so it is made harmless for their systems and terminals, too.

const BYTES_MAX = 200
const NAMELESS = 'file'
/** An ending that is longer is no ending. */
const EXTENSION_LENGTH_MAX = 16

/**
 * Escape sequences of terminals, whole, so that their letters don't stay behind: CSI, OSC, and the short ones. Built from
 * numbers, so that no control character stands in a source.
 */
const ESCAPES = new RegExp(
  [
    `(?:${c(0x1b)}\\[|${c(0x9b)})[0-?]*[ -/]*[@-~]`,
    `(?:${c(0x1b)}\\]|${c(0x9d)})[^${c(7)}${c(0x1b)}${c(0x9c)}]*(?:${c(7)}|${c(0x1b)}\\\\|${c(0x9c)})?`,
    `${c(0x1b)}[ -/]*[0-~]`,
  ].join('|'),
  'gu',
)

function c(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`
}

/**
 * Control, format (direction marks, invisible ones), lone surrogates, private use, separators of lines. The two joiners
 * stay, which scripts and emoji need inside of words.
 */
const INVISIBLE = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu
/** Separators of paths and what Windows forbids. */
const FORBIDDEN = /[/\\:*?"<>|]/g
/** Names of devices on Windows, with any ending. */
const RESERVED = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(?:\.|$)/i

/** Idempotent. The result has 1 to 200 bytes of UTF-8 in form NFC. */
export function cleanName(name: string): string {
  const visible = name.normalize('NFC').replace(ESCAPES, '').replace(INVISIBLE, '')
  const plain = trimmed(visible.replace(FORBIDDEN, '_').replace(/\s+/gu, ' ').normalize('NFC'))
  const safe = RESERVED.test(plain) ? `_${plain}` : plain
  const short = trimmed(shortened(safe))
  return short === '' ? NAMELESS : short
}

/** A leading dot hides, a trailing dot or space is dropped by Windows. */
function trimmed(name: string): string {
  return name.replace(/^[\s.\u200c\u200d]+/u, '').replace(/[\s.\u200c\u200d]+$/u, '')
}

/** Keeps the ending, for the sake of whoever opens it. */
function shortened(name: string): string {
  if (Buffer.byteLength(name) <= BYTES_MAX) return name
  const dot = name.lastIndexOf('.')
  const hasExtension = dot > 0 && name.length - dot <= EXTENSION_LENGTH_MAX
  const extension = hasExtension ? name.slice(dot) : ''
  const stem = hasExtension ? name.slice(0, dot) : name
  return cut(stem, BYTES_MAX - Buffer.byteLength(extension)) + extension
}

/** The longest start of whole characters that has at most so many bytes. */
function cut(text: string, bytesMax: number): string {
  let bytes = 0
  let length = 0
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > bytesMax) break
    length += character.length
  }
  return text.slice(0, length)
}
