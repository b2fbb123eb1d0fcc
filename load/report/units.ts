// How figures are written for people: the same on the terminal, in the page and in comparisons.
// Pure. Invariant: a value that is not a finite number is written as a dash, never as NaN.

import type { Finding } from '../model.ts'

export const NOTHING = '–'

/** Three significant digits in the unit that fits: `840 µs`, `1.24 ms`, `12.3 s`. */
export function formatUs(us: number): string {
  if (!Number.isFinite(us)) return NOTHING
  const size = Math.abs(us)
  if (size < 999.5) return `${significant(us)} µs`
  if (size < 999_500) return `${significant(us / 1e3)} ms`
  return `${significant(us / 1e6)} s`
}

/** Whole numbers with separators: `1,203,400`. */
export function formatCount(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : NOTHING
}

/** Per second: whole from 100 on, else three digits. */
export function formatRate(perSecond: number): string {
  if (!Number.isFinite(perSecond)) return NOTHING
  return Math.abs(perSecond) >= 100 ? formatCount(perSecond) : significant(perSecond)
}

export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return NOTHING
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? formatCount(value) : significant(value)} ${units[unit]}`
}

/** A share between 0 and 1 as percent. */
export function formatShare(share: number): string {
  return Number.isFinite(share) ? `${significant(share * 100)} %` : NOTHING
}

export function formatCores(cores: number): string {
  return Number.isFinite(cores) ? cores.toFixed(2) : NOTHING
}

export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return NOTHING
  return `${significant(seconds)} s`
}

/** `28.4 s`, `5 min 10 s`, `24 h 0 min`. */
export function formatDuration(seconds: number): string {
  if (!(seconds >= 120)) return formatSeconds(seconds)
  const whole = Math.round(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)]
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`
}

/** With its sign: `+4.2 %`; from the tenfold on as a factor: `× 12.5`. */
export function formatChange(share: number): string {
  if (!Number.isFinite(share)) return NOTHING
  if (share >= 9) return `× ${significant(share + 1)}`
  const percent = (share * 100).toFixed(1)
  if (Number(percent) === 0) return '0.0 %'
  return `${share > 0 ? '+' : ''}${percent} %`
}

export function formatValue(value: number, unit: Finding['unit']): string {
  switch (unit) {
    case 'us':
      return formatUs(value)
    case 'ms':
      return formatUs(value * 1e3)
    case 's':
      return formatUs(value * 1e6)
    case 'bytes':
      return formatBytes(value)
    case 'bytes/s':
      return `${formatBytes(value)}/s`
    case '1/s':
      return `${formatRate(value)}/s`
    case 'count':
      return Number.isInteger(value) ? formatCount(value) : significant(value)
    case 'ratio':
      return Number.isFinite(value) ? `${significant(value)} ×` : NOTHING
    case 'share':
      return formatShare(value)
    case 'cores':
      return Number.isFinite(value) ? `${significant(value)} cores` : NOTHING
    default:
      return unit satisfies never
  }
}

/** Scenarios tell latencies in these; how long a start or an end took, in seconds. */
export function isLatencyUnit(unit: Finding['unit']): boolean {
  return unit === 'us' || unit === 'ms'
}

/** Three significant digits; larger numbers whole, with separators. */
function significant(value: number): string {
  if (!Number.isFinite(value)) return NOTHING
  const size = Math.abs(value)
  if (size === 0) return '0'
  if (size >= 99.95) return formatCount(value)
  if (size >= 9.995) return value.toFixed(1)
  if (size >= 0.9995) return value.toFixed(2)
  return Number(value.toPrecision(3)).toString()
}
