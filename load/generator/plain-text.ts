// What a server says of itself, made fit for a terminal and a line of a report. Any thread of the load. Pure.

const CHARACTERS_MAX = 300

/** One line without control characters: these could write over what is shown, or ask the terminal for more. */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, CHARACTERS_MAX)
}
