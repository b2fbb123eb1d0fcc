// The table of codes: numbers as SDKs know them, reasons that fit, labels of metrics that follow.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { disconnectCodes, errorCodes, unsubscribeCodes } from '../../src/metrics/label-values.ts'
import {
  because,
  cutToBytes,
  detailed,
  disconnects,
  errors,
  REASON_BYTES_MAX,
  reconnects,
  serverFull,
  unsubscribes,
} from '../../src/protocol/codes.ts'

const bytesOf = (text: string) => Buffer.byteLength(text, 'utf8')

describe('codes', () => {
  test('are told apart by their numbers', () => {
    for (const table of [errors, disconnects, unsubscribes]) {
      const codes = Object.values(table).map(({ code }) => code)
      expect(new Set(codes).size).toBe(codes.length)
    }
  })

  test('each has a label of its own in the metrics', () => {
    for (const { code } of Object.values(errors)) expect(errorCodes).toContain(`${code}`)
    for (const { code } of Object.values(disconnects)) expect(disconnectCodes).toContain(`${code}`)
    for (const { code } of Object.values(unsubscribes)) expect(unsubscribeCodes).toContain(`${code}`)
  })

  test('errors that may pass are marked temporary, and only those', () => {
    const temporary = Object.values(errors).filter(error => error.temporary)
    expect(temporary.map(({ code }) => code)).toEqual([100, 111])
    expect(serverFull('the table')).toEqual({
      code: 106,
      message: 'limit exceeded: the table is full',
      temporary: true,
    })
    expect(detailed(errors.badRequest, 'x is y')).toEqual({
      code: 107,
      message: 'bad request: x is y',
      temporary: false,
    })
  })

  test('reconnect and resubscribe ranges are those of the protocol', () => {
    for (const code of [3000, 3499, 4000, 4499]) expect(reconnects(code)).toBe(true)
    for (const code of [3500, 3999, 4500, 4999]) expect(reconnects(code)).toBe(false)
    expect(unsubscribes.server.code).toBeLessThan(2500)
    expect(unsubscribes.insufficientState.code).toBeGreaterThanOrEqual(2500)
  })
})

describe('reasons', () => {
  test('fit in a close frame, whole characters only, and are the longest that do', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), detail => {
        const { code, reason } = because(disconnects.badRequest, detail)
        const full = `bad request: ${detail}`
        expect(code).toBe(3501)
        expect(bytesOf(reason)).toBeLessThanOrEqual(REASON_BYTES_MAX)
        expect(reason.isWellFormed()).toBe(true)
        expect(full.startsWith(reason)).toBe(true)
        const next = [...full.slice(reason.length)][0]
        if (next !== undefined) expect(bytesOf(reason + next)).toBeGreaterThan(REASON_BYTES_MAX)
      }),
    )
  })

  test('a cut at each byte keeps to the limit and to characters', () => {
    const text = 'aä€😀b'
    const cuts = Array.from({ length: 12 }, (_, bytes) => cutToBytes(text, bytes))
    expect(cuts).toEqual(['', 'a', 'a', 'aä', 'aä', 'aä', 'aä€', 'aä€', 'aä€', 'aä€', 'aä€😀', text])
  })
})
