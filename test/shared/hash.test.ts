import { describe, expect, test } from 'vitest'
import { hashInto } from '../../src/shared/hash.ts'

// vectors_hsip64 of the reference implementation (github.com/veorq/SipHash, vectors.h): the input is the bytes
// 0, 1, 2, … of a length, the key the bytes 0 … 7. Here those of even lengths, which are whole code units.
const VECTORS_OF_EVEN_LENGTHS = [
  '218d1f59b9b83cc8',
  '064f39ef7c50eb57',
  'd5e78a175be52ea1',
  'ce3e91358aa2bc25',
  'edfee820bce4858c',
  '95b0469f06a6f2ee',
  '7bc71f9faef5c799',
  '3bb1a870eae8e658',
  '7336aad25f7bf3b5',
  'c9b2db2b9a3e42f9',
  '1bf52b0a6feea7db',
  'e20103fa1ba776ef',
  '70741045ae3fa6f1',
  '0d899ed8112923f0',
  '2d925ffb1e0016b5',
  '291aaf864898179d',
  '28709d46d811626c',
  '8324e4d7528f9830',
  '86d67a40ec4276dc',
  'cbd92ee724d42109',
  '5b38c81c67c8ae4c',
  'a91a52c025327024',
  '1e30f3ad27dcb15a',
  '495c0f995557dc38',
  'a9eaa8c04ba93e3e',
  '912d568fd8f65a49',
  '02445a7998f550e1',
  '359569e7d289e3bc',
  'a1a492f942f15f1d',
  '5d1b5ea1b231d89d',
  'd6762890bf26e460',
  'f90b3ab572d46693',
]

describe('hashInto', () => {
  test('gives the published outputs of HalfSipHash-2-4-64', () => {
    const key = new Uint32Array([0x03020100, 0x07060504])
    for (const [pairs, expected] of VECTORS_OF_EVEN_LENGTHS.entries()) {
      const input = Buffer.from(Array.from({ length: pairs * 2 }, (_, byte) => byte))
      expect(hashHex(key, input.toString('utf16le')), `${pairs * 2} bytes`).toBe(expected)
    }
  })

  test('tells texts apart that differ in one unit, in length or in the key', () => {
    const key = new Uint32Array([1, 2])
    const texts = [
      '',
      '\0',
      '\0\0',
      'a',
      'b',
      'ab',
      'ba',
      'a\0',
      'ā',
      '\ud800',
      '\udc00',
      'x'.repeat(128),
      'x'.repeat(256),
    ]
    const hashes = texts.map(text => hashHex(key, text))
    expect(new Set(hashes).size).toBe(texts.length)
    expect(hashHex(new Uint32Array([2, 1]), 'a')).not.toBe(hashHex(key, 'a'))
    expect(hashHex(new Uint32Array([1, 2]), 'a')).toBe(hashHex(key, 'a'))
  })

  test('does not depend on how the string came to be', () => {
    const key = new Uint32Array([0xffffffff, 0x80000000])
    const joined = ['news', ':', 'sport'].join('')
    const sliced = 'xnews:sportx'.slice(1, -1)
    expect(hashHex(key, joined)).toBe(hashHex(key, 'news:sport'))
    expect(hashHex(key, sliced)).toBe(hashHex(key, 'news:sport'))
  })
})

function hashHex(key: Uint32Array, text: string): string {
  const out = new Uint32Array(2)
  hashInto(key, text, out)
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(out[0]!, 0)
  bytes.writeUInt32LE(out[1]!, 4)
  return bytes.toString('hex')
}
