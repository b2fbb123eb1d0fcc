// Lists and ranges of local addresses: `127.0.0.2-127.0.0.9,10.0.0.5`, IPv4 and IPv6. Pure.

import { isIP } from 'node:net'
import { OptionError } from './errors.ts'

/** More would be a slip: each gives about 28,000 connections to one port. */
const SOURCES_MAX = 4096

/** @returns the addresses in order, without repetitions */
export function parseSources(text: string): readonly string[] {
  const all = text.split(',').flatMap(part => {
    const ends = part.trim().split('-')
    const [first = '', last = first] = ends
    const version = isIP(first)
    if (ends.length > 2 || version === 0 || isIP(last) !== version) refuse(text)
    return range(first, last, version as 4 | 6, text)
  })
  if (all.length > SOURCES_MAX) refuse(text)
  return [...new Set(all)]
}

function range(first: string, last: string, version: 4 | 6, text: string): string[] {
  const from = toNumber(first, version)
  const to = toNumber(last, version)
  if (to < from || to - from >= SOURCES_MAX) refuse(text)
  return Array.from({ length: Number(to - from) + 1 }, (_, index) => toText(from + BigInt(index), version))
}

function toNumber(address: string, version: 4 | 6): bigint {
  if (version === 4) return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)
  const [head = '', tail] = normal(address).split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':'))
  const left = groups(head)
  const right = groups(tail ?? '')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].reduce((sum, part) => sum * 65536n + BigInt(`0x${part}`), 0n)
}

function toText(value: bigint, version: 4 | 6): string {
  const parts = (count: number, bits: number) =>
    Array.from({ length: count }, (_, index) =>
      BigInt.asUintN(bits, value >> BigInt((count - 1 - index) * bits)),
    )
  if (version === 4) return parts(4, 8).join('.')
  return normal(
    parts(8, 16)
      .map(part => part.toString(16))
      .join(':'),
  )
}

/** Lower case, the longest row of zeros as `::`, no dots: as URLs write them. */
function normal(address: string): string {
  const host = URL.canParse(`http://[${address}]`) ? new URL(`http://[${address}]`).hostname : ''
  if (host === '')
    throw new OptionError(`--sources: ${JSON.stringify(address)} is not an address to connect from`)
  return host.slice(1, -1)
}

function refuse(text: string): never {
  throw new OptionError(
    `--sources: ${JSON.stringify(text)} is not allowed; it must be addresses and ranges, separated by commas ` +
      `(127.0.0.2-127.0.0.9,10.0.0.5), at most ${SOURCES_MAX} of them`,
  )
}
