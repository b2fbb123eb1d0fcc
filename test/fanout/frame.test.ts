// Frames: what stays of one when only the newest publication matters.

import { expect, test } from 'vitest'
import { frameOf, newestOf } from '../../src/fanout/frame.ts'

const LINES = Buffer.from('one\ntwo\nthree\n')

test('the newest publication is the last line, whole and with its line break', () => {
  const newest = newestOf(frameOf(LINES, 3))
  expect(Buffer.from(newest.lines).toString()).toBe('three\n')
  expect(Buffer.from(newest.message).toString()).toBe('three')
  expect(newest.publications).toBe(1)
})

test('a frame of one publication, or with events in it, stays as it is', () => {
  for (const frame of [frameOf(LINES.subarray(0, 4), 1), frameOf(LINES, 2, 1), frameOf(LINES, 0, 3)]) {
    expect(newestOf(frame)).toBe(frame)
  }
})
