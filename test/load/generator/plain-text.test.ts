import { expect, test } from 'vitest'
import { plainText } from '../../../load/generator/plain-text.ts'

test('what a server says is shown on one line, without what a terminal would obey, and not at any length', () => {
  expect(plainText('error 102: unknown channel “é”')).toBe('error 102: unknown channel “é”')
  expect(plainText('a\x1b[2Jb\r\nc\x9bd')).toBe('a [2Jb c d')
  expect(plainText('x'.repeat(1000))).toHaveLength(300)
})
