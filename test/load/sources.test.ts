import { describe, expect, test } from 'vitest'
import { OptionError } from '../../load/errors.ts'
import { parseSources } from '../../load/sources.ts'

describe('a list of local addresses', () => {
  test.each([
    ['127.0.0.2', ['127.0.0.2']],
    ['127.0.0.254-127.0.1.1', ['127.0.0.254', '127.0.0.255', '127.0.1.0', '127.0.1.1']],
    ['10.0.0.1,10.0.0.5-10.0.0.6', ['10.0.0.1', '10.0.0.5', '10.0.0.6']],
    ['10.0.0.1,10.0.0.1-10.0.0.2', ['10.0.0.1', '10.0.0.2']],
    ['fd00::fffe-fd00::1:1', ['fd00::fffe', 'fd00::ffff', 'fd00::1:0', 'fd00::1:1']],
    ['2001:DB8::1,::1', ['2001:db8::1', '::1']],
  ])('%s', (text, expected) => {
    expect(parseSources(text)).toEqual(expected)
  })

  test.each([
    '',
    'localhost',
    '1.2.3.4-',
    '1.2.3.4-::1',
    '1.1.1.1-9.9.9.9',
    '1.1.1.2-1.1.1.1',
    '1-2',
    'fe80::1%lo',
  ])('%j is refused', text => {
    expect(() => parseSources(text)).toThrow(OptionError)
  })
})
