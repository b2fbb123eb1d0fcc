import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { foldName, readDisplayName, readNickname } from '../../../src/messenger/accounts/names.ts'

const keyOf = (text: string) => readNickname(text).key

describe('a nickname', () => {
  test.each([
    'anna',
    'Anna-Maria',
    'x_1',
    'j.doe',
    'Ünal',
    'анна',
    'άννα',
    '田中',
    'たなか太郎',
    '김철수',
    'अनिता',
    'ab',
  ])('may be %j', text => {
    expect(readNickname(text).nickname).toBe(text.normalize('NFKC'))
  })

  test.each([
    ['', 'characters'],
    ['a', 'characters'],
    ['a'.repeat(33), 'characters'],
    ['two words', 'may have'],
    ['.dot', 'begins'],
    ['-dash', 'begins'],
    ['a/b', 'may have'],
    ['deleted#7', 'may have'],
    ['a\u0000b', 'may have'],
    ['a\u202eb', 'may have'],
    ['a\u200bb', 'may have'],
    ['ab\u3164', 'may have'],
    ['a\u0332\u0333\u033f\u0300b', 'may have'],
    ['a😀', 'may have'],
    ['\ud800ab', 'may have'],
    ['аnna\u0430b', 'alphabets'],
    ['pаypal', 'alphabets'],
  ])('may not be %j', (text, why) => {
    expect(() => readNickname(text)).toThrow(why)
  })

  test.each([
    ['Anna', 'anna'],
    ['ＡＮＮＡ', 'anna'],
    ['straße', 'STRASSE'],
    ['Σίσυφος', 'ΣΊΣΥΦΟΣ'],
    ['сосо', 'coco'],
    ['СОСО', 'coco'],
    ['Ünal', 'U\u0308NAL'],
    ['ﬁfi', 'fifi'],
  ])('%j is taken where %j is', (one, other) => {
    expect(keyOf(one)).toBe(keyOf(other))
  })

  test('keeps apart what looks different', () => {
    const names = ['anna', 'anne', 'ana', 'an-na', 'an.na', 'an_na', 'änna', 'anna1', 'anna2', 'вася', 'ваня']
    expect(new Set(names.map(keyOf)).size).toBe(names.length)
  })

  test('has the same key however often it is folded, and whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), text => {
        const once = foldName(text)
        expect(foldName(once)).toBe(once)
      }),
    )
  })

  test('is read or refused as a bad request, nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), text => {
        try {
          const { nickname } = readNickname(text)
          expect([...nickname].length).toBeLessThanOrEqual(32)
        } catch (error) {
          expect(error).toMatchObject({ kind: 'bad_request' })
        }
      }),
    )
  })
})

describe('a display name', () => {
  test('is the nickname where it is empty', () => {
    expect(readDisplayName(undefined, 'anna')).toBe('anna')
    expect(readDisplayName('  \t ', 'anna')).toBe('anna')
  })

  test('is trimmed, composed, and has single spaces', () => {
    expect(readDisplayName('  Anna   U\u0308nal ', 'x')).toBe('Anna Ünal')
    expect(readDisplayName('👩‍💻 Ada', 'x')).toBe('👩‍💻 Ada')
  })

  test.each([
    'a\u0000b',
    'a\u001b[31mb',
    'evil\u202egpj.exe',
    '\u2066hidden\u2069',
    '\u200d\u200d',
    '\u3164',
    '\u2800\u2800',
    `a${'\u0301'.repeat(8)}`,
    'x'.repeat(65),
  ])('may not be %j', text => {
    expect(() => readDisplayName(text, 'anna')).toThrow('display_name')
  })
})
