// Display names of files: whatever a sender calls a file, those who save it are not harmed by its name.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cleanName } from '../../src/messenger/files/names.ts'

const ESC = '\u001b'

describe('a name', () => {
  test.each([
    ['holiday.jpg', 'holiday.jpg'],
    ['Jahresbericht 2024 – Übersicht (final).pdf', 'Jahresbericht 2024 – Übersicht (final).pdf'],
    ['写真.png', '写真.png'],
    ['archive.tar.gz', 'archive.tar.gz'],
    ['👩‍👩‍👧.gif', '👩‍👩‍👧.gif'],
    ['می‌خواهم.txt', 'می‌خواهم.txt'],
    ['a'.repeat(100), 'a'.repeat(100)],
  ])('that harms nobody stays: %s', (name, expected) => {
    expect(cleanName(name)).toBe(expected)
  })

  test('is composed', () => {
    expect(cleanName('Cafe\u0301.txt')).toBe('Café.txt')
  })

  test.each([
    ['../../etc/passwd', '_.._etc_passwd'],
    ['..\\..\\windows\\system32', '_.._windows_system32'],
    ['/etc/passwd', '_etc_passwd'],
    ['C:\\autoexec.bat', 'C__autoexec.bat'],
    ['a\u0000.jpg', 'a.jpg'],
    ['file.txt:stream', 'file.txt_stream'],
    ['..', 'file'],
    ['.', 'file'],
    ['', 'file'],
    ['   ', 'file'],
    ['\u202e', 'file'],
    ['.ssh', 'ssh'],
    ['...hidden', 'hidden'],
    [' .bashrc', 'bashrc'],
    ['\u200d.profile', 'profile'],
    ['trailing. . .', 'trailing'],
    ['what?*.txt', 'what__.txt'],
  ])('that is or has a path, hides or means something to a system is made plain: %j', (name, expected) => {
    expect(cleanName(name)).toBe(expected)
  })

  test.each([
    ['invoice\u202egpj.exe', 'invoicegpj.exe'],
    ['\u2066a\u2069.txt', 'a.txt'],
    ['\u061ca\u200e\u200f.txt', 'a.txt'],
    ['in\u200bvis\ufeffible\u00ad.txt', 'invisible.txt'],
    ['tag\u{e0041}\u{e0042}.txt', 'tag.txt'],
    ['two\u2028lines\u2029.txt', 'twolines.txt'],
    ['a\r\nb.txt', 'ab.txt'],
    ['x\ud800y.txt', 'xy.txt'],
    ['private\ue000.txt', 'private.txt'],
  ])('has nothing invisible that changes how it reads: %j', (name, expected) => {
    expect(cleanName(name)).toBe(expected)
  })

  test.each([
    [`${ESC}[31mred${ESC}[0m.txt`, 'red.txt'],
    [`${ESC}[2J${ESC}[1;1Hcleared.txt`, 'cleared.txt'],
    [`${ESC}]0;title\u0007name.txt`, 'name.txt'],
    [`${ESC}]8;;http://a.b\u001b\\link.txt`, 'link.txt'],
    ['\u009b31mred.txt', 'red.txt'],
    [`${ESC}c.txt`, 'txt'],
    [`unended${ESC}`, 'unended'],
  ])('has no escape sequences of terminals: %j', (name, expected) => {
    expect(cleanName(name)).toBe(expected)
  })

  test.each(['CON', 'con', 'nul.txt', 'Aux.tar.gz', 'COM1', 'lpt9.log', 'COM¹', 'CONIN$', 'prn .txt'])(
    'is not that of a device: %s',
    name => {
      expect(cleanName(name)).toBe(`_${name}`)
    },
  )

  test('that only begins like a device stays', () => {
    expect(cleanName('console.log')).toBe('console.log')
    expect(cleanName('com10.txt')).toBe('com10.txt')
  })

  test('has at most 200 bytes, whole characters and its ending', () => {
    const long = cleanName(`${'é'.repeat(300)}.jpeg`)
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(200)
    expect(long).toMatch(/^é+\.jpeg$/)
    expect(cleanName(`a.${'b'.repeat(300)}`)).toHaveLength(200)
    expect(cleanName('😀'.repeat(100))).toBe('😀'.repeat(50))
  })

  test('whatever it was, is harmless, and cleaning it again changes nothing', () => {
    const units = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        ESC,
        '[31m',
        ']0;',
        '\u0007',
        '\u202e',
        '.',
        '..',
        '/',
        '\\',
        ' ',
        'CON',
        'nul',
        ':',
        '\u0301',
      ),
      fc.string({ minLength: 150, maxLength: 400 }),
    )
    fc.assert(
      fc.property(
        fc.array(units, { maxLength: 12 }).map(parts => parts.join('')),
        name => {
          const clean = cleanName(name)
          expect(Buffer.byteLength(clean)).toBeGreaterThan(0)
          expect(Buffer.byteLength(clean)).toBeLessThanOrEqual(200)
          expect(clean).not.toMatch(/[/\\:*?"<>|]|^[.\s]|[.\s]$/u)
          expect(clean).not.toMatch(/(?![\u200c\u200d])[\p{C}\p{Zl}\p{Zp}]/u)
          expect(clean).not.toMatch(/^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i)
          expect(clean.isWellFormed()).toBe(true)
          expect(clean.normalize('NFC')).toBe(clean)
          expect(cleanName(clean)).toBe(clean)
        },
      ),
      { numRuns: 1_000 },
    )
  })
})
