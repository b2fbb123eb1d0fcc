// HTML as a tagged template that escapes whatever it is given. Pure.
// Invariant: text from outside gets into a page only through escapeText(); only a template can make an Html.

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Markup that is known to be safe. */
export type Html = { readonly markup: string }

type Part = Html | string | number | undefined | readonly Part[]

/** Fit for text and for quoted attributes. */
function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, character => ENTITIES[character]!)
}

/** Strings and numbers are escaped, lists are joined, `undefined` is nothing. */
export function html(fixed: TemplateStringsArray, ...parts: readonly Part[]): Html {
  let markup = fixed[0]!
  parts.forEach((part, index) => {
    markup += markupOf(part) + fixed[index + 1]!
  })
  return { markup }
}

/** For what the project itself wrote: its style sheets and scripts. */
export function trusted(markup: string): Html {
  return { markup }
}

/** JSON that may stand inside a script element, whatever its strings hold. */
export function jsonForScript(value: unknown): Html {
  return { markup: JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, unicodeEscape) }
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function markupOf(part: Part): string {
  if (part === undefined) return ''
  if (typeof part === 'string') return escapeText(part)
  if (typeof part === 'number') return String(part)
  if ('markup' in part) return part.markup
  return part.map(markupOf).join('')
}
