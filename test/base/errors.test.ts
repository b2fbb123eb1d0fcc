// Assertions, errors with exit codes, and clocks: small things that everything else leans on.

import { describe, expect, test } from 'vitest'
import { AssertionError, assert, unreachable } from '../../src/base/assert.ts'
import { monotonicMs, monotonicUs, wallMs } from '../../src/base/clock.ts'
import { ConfigError, reasonOf, StartError } from '../../src/base/errors.ts'

describe('assert', () => {
  test('throws on what is false, with its message', () => {
    expect(() => assert(1)).not.toThrow()
    for (const value of [false, 0, '', null, undefined]) expect(() => assert(value, 'why')).toThrow('why')
    expect(() => assert(false)).toThrow(AssertionError)
  })

  test('unreachable names what came', () => {
    expect(() => unreachable('surprise' as never)).toThrow('unreachable: surprise')
  })
})

describe('errors', () => {
  test('tell the exit code of the process', () => {
    expect(new ConfigError('x').exitCode).toBe(2)
    expect(new StartError('x').exitCode).toBe(1)
    expect(new ConfigError('x').name).toBe('ConfigError')
  })

  test('reasonOf makes a text of whatever was thrown', () => {
    expect(reasonOf(new Error('full'))).toBe('full')
    expect(reasonOf('text')).toBe('text')
    expect(reasonOf(undefined)).toBe('undefined')
  })
})

describe('clock', () => {
  test('the monotonic clock never goes back, in both its units', () => {
    let beforeUs = monotonicUs()
    for (let round = 0; round < 1000; round++) {
      const nowUs = monotonicUs()
      expect(nowUs).toBeGreaterThanOrEqual(beforeUs)
      beforeUs = nowUs
    }
    const fromMs = monotonicMs()
    expect(Number.isInteger(fromMs)).toBe(true)
    expect(monotonicUs() / 1000).toBeGreaterThanOrEqual(fromMs)
  })

  test('the wall clock counts from 1970', () => {
    expect(wallMs()).toBeGreaterThan(Date.UTC(2024, 0))
  })
})
