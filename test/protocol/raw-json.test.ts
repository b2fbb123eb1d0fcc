// The scanner of raw members: against JSON.parse, byte by byte where it matters.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PAYLOAD_DEPTH_MAX, rawElements, rawMember } from '../../src/protocol/raw-json.ts'

const FEW_RUNS = { numRuns: 500 }
const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/)

/** Writes a value as JSON with white space at random places and keys with escapes. */
function spaced(value: unknown, space: () => string, escapes: () => boolean): string {
  if (Array.isArray(value)) {
    return `[${space()}${value.map(entry => spaced(entry, space, escapes) + space()).join(`,${space()}`)}]`
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.keys(value).map(key => {
      const text = escapes() ? escaped(key) : JSON.stringify(key)
      return `${text}${space()}:${space()}${spaced((value as Record<string, unknown>)[key], space, escapes)}${space()}`
    })
    return `{${space()}${members.join(`,${space()}`)}}`
  }
  return JSON.stringify(value)
}

function escaped(key: string): string {
  const units = Array.from({ length: key.length }, (_, index) => key.charCodeAt(index))
  return `"${units.map(unit => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`
}

/** Strings full of what a scanner could stumble over. */
const nasty = fc.stringMatching(/^[a"\\{}[\],: \n]{0,12}$/)
const jsonValue = fc.jsonValue({ maxDepth: 4, stringUnit: fc.oneof(nasty, fc.string({ maxLength: 3 })) })
const record = fc.dictionary(fc.oneof(nasty, fc.constantFrom('data', 'publish', '__proto__')), jsonValue, {
  noNullPrototype: true,
})

function found(json: string, member: string, parent?: string): unknown {
  const raw = rawMember(json, member, parent)
  return raw.kind === 'found' ? JSON.parse(raw.text) : raw.kind
}

function nested(levels: number): string {
  return '[{"a":'.repeat(levels / 2) + (levels % 2 === 1 ? '[]' : '1') + '}]'.repeat(levels / 2)
}

describe('rawMember', () => {
  test('finds what JSON.parse finds, however the text is spaced and its keys are written', () => {
    fc.assert(
      fc.property(
        record,
        record,
        jsonValue,
        fc.infiniteStream(space),
        fc.infiniteStream(fc.boolean()),
        (root, body, data, spaces, escapes) => {
          // What JSON can't tell apart (0 and −0) is not expected back.
          const value = JSON.parse(JSON.stringify({ ...root, publish: { ...body, data } }))
          const json = spaced(
            value,
            () => spaces.next().value!,
            () => escapes.next().value!,
          )
          expect(JSON.parse(json)).toEqual(value)
          expect(found(json, 'data', 'publish')).toEqual(value.publish.data)
          expect(found(json, 'publish')).toEqual(value.publish)
          expect(found(json, 'nowhere', 'publish')).toBe('absent')
          const raw = rawMember(json, 'data', 'publish')
          expect(raw.kind === 'found' && /[\r\n]/.test(raw.text)).toBe(false)
        },
      ),
      FEW_RUNS,
    )
  })

  test('gives the text as it was written: digits, escapes and spaces stay', () => {
    const data = '{ "n": 12345678901234567890.10, "e":1E400, "s":"\\u00e4\\/ä", "z":-0.0 }'
    const raw = rawMember(`{"id":1,"publish":{"channel":"c","data":${data}}}`, 'data', 'publish')
    expect(raw).toEqual({ kind: 'found', text: data })
  })

  test('line breaks between tokens become spaces, those within strings are escapes and stay', () => {
    const raw = rawMember('{"data":[1,\r\n"a\\nb",\n\n2]}', 'data')
    expect(raw).toEqual({ kind: 'found', text: '[1, "a\\nb", 2]' })
  })

  test('of a repeated key the last one counts, of the parent too', () => {
    expect(found('{"data":1,"data":2}', 'data')).toBe(2)
    expect(found('{"data":1,"d\\u0061ta":[3]}', 'data')).toEqual([3])
    expect(found('{"p":{"data":1},"p":{"x":2}}', 'data', 'p')).toBe('absent')
    expect(found('{"p":{"data":1},"\\u0070":{"data":2}}', 'data', 'p')).toBe(2)
    expect(found('{"p":{"data":1},"p":null}', 'data', 'p')).toBe('absent')
  })

  test('a member of a member is not a member', () => {
    expect(found('{"a":{"data":1},"b":"data","c":["data",{"data":2}]}', 'data')).toBe('absent')
    expect(found('{"a":{"publish":{"data":1}},"publish":{"a":{"data":2}}}', 'data', 'publish')).toBe('absent')
  })

  test('a key that only begins or ends like the name is another key', () => {
    expect(found('{"dat":1,"data2":2,"xdata":3,"Data":4,"data\\u0000":5}', 'data')).toBe('absent')
    expect(found('{"\\"data":1,"dat\\\\":2}', 'data')).toBe('absent')
  })

  test('strings that look like syntax hide nothing', () => {
    expect(found('{"a":"\\\\","data":1}', 'data')).toBe(1)
    expect(found('{"a":"\\\\\\"}","data":1}', 'data')).toBe(1)
    expect(found('{"a":["]","}"],"b":"{[","data":"x"}', 'data')).toBe('x')
  })

  test(`takes ${PAYLOAD_DEPTH_MAX} levels of nesting and refuses one more`, () => {
    for (let levels = 1; levels <= PAYLOAD_DEPTH_MAX + 2; levels++) {
      const json = `{"deep":${nested(200)},"publish":{"deep":${nested(200)},"data":${nested(levels)}}}`
      expect(() => JSON.parse(json)).not.toThrow()
      const { kind } = rawMember(json, 'data', 'publish')
      expect(kind).toBe(levels <= PAYLOAD_DEPTH_MAX ? 'found' : 'too_deep')
    }
  })

  test('the depth of one command does not count for the next', () => {
    expect(rawMember(`{"data":${nested(100)}}`, 'data').kind).toBe('too_deep')
    expect(rawMember('{"data":1}', 'data').kind).toBe('found')
  })

  test('30,000 levels and 30,000 escaped quotes are passed over without recursion', () => {
    const deep = `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)},"b":"${'\\"'.repeat(30_000)}","data":1}`
    expect(found(deep, 'data')).toBe(1)
  })
})

describe('rawElements', () => {
  test('gives the elements that JSON.parse gives', () => {
    fc.assert(
      fc.property(
        fc.array(jsonValue, { maxLength: 6 }),
        record,
        fc.infiniteStream(space),
        (list, root, spaces) => {
          const json = spaced(
            { ...root, commands: list },
            () => spaces.next().value!,
            () => false,
          )
          expect(rawElements(json, 'commands')?.map(text => JSON.parse(text))).toEqual(
            JSON.parse(JSON.stringify(list)),
          )
        },
      ),
      FEW_RUNS,
    )
  })

  test('is undefined where there is no such array', () => {
    for (const json of [
      '{}',
      '{"commands":{}}',
      '{"commands":null}',
      '{"commands":"[1]"}',
      '{"a":{"commands":[1]}}',
    ]) {
      expect(rawElements(json, 'commands')).toBeUndefined()
    }
    expect(rawElements('{"commands":[ ]}', 'commands')).toEqual([])
  })
})
