// Durations as texts: "25s", "500ms", "1h30m". Any thread.
// Invariant: in memory a duration is a whole number of milliseconds.

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g

/** Milliseconds, or undefined where the text is no duration ("25": no unit; "0.5ms": finer than we count). */
export function parseDuration(text: string): number | undefined {
  if (!WHOLE.test(text)) return undefined
  let totalMs = 0
  for (const [, amount, unit] of text.matchAll(PART)) totalMs += Number(amount) * UNITS_MS[unit!]!
  // 1.1 * 60_000 is 66_000.00000000001: a difference below a microsecond is the arithmetic's, not the author's.
  const wholeMs = Math.round(totalMs)
  return Math.abs(totalMs - wholeMs) < 1e-3 && Number.isSafeInteger(wholeMs) ? wholeMs : undefined
}

/** The text of a duration in the largest unit that leaves no fraction: 60_000 is "1m", 90_000 is "90s". */
export function formatDuration(ms: number): string {
  const unit = ms === 0 ? 's' : (['h', 'm', 's'].find(name => ms % UNITS_MS[name]! === 0) ?? 'ms')
  return `${ms / UNITS_MS[unit]!}${unit}`
}
