// The format of kept histories: what was written is read again, and what is damaged is said to be.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  channelLine,
  HEAD_LINE,
  type KeptChannel,
  type KeptKey,
  KeptReader,
  keyLine,
  publicationLine,
} from '../../src/history/kept.ts'

type Publication = Readonly<{ text: string; textBytes: number; atMs: number }>
type Read = { channels: (KeptChannel & { list: Publication[] })[]; keys: KeptKey[] }

/** Reads lines as they stand in a file, one after the other in the same memory. */
function read(lines: readonly string[], isWanted: (name: string) => boolean = () => true): Read {
  const result: Read = { channels: [], keys: [] }
  const reader = new KeptReader({
    channel(kept) {
      if (!isWanted(kept.name)) return undefined
      const list: Publication[] = []
      result.channels.push({ ...kept, list })
      return (text, textBytes, atMs) => {
        list.push({ text, textBytes, atMs })
        return text !== '"foreign"'
      }
    },
    key: kept => void result.keys.push(kept),
  })
  const bytes = Buffer.from(lines.map(line => `${line}\n`).join(''))
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf('\n', start)
    reader.line(bytes, start, end)
    start = end + 1
  }
  reader.end()
  return result
}

const time = fc.nat({ max: 4_000_000_000_000 })
const epoch = fc.stringMatching(/^[\w-]{1,12}$/)
const offset = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const json = fc.json({ depthSize: 'small' }).map(text => text.replaceAll('\n', ' '))

const channels = fc.array(
  fc
    .record({
      name: fc.string({ unit: 'binary' }),
      epoch,
      offset,
      usedMs: time,
      texts: fc.array(fc.tuple(json, fc.nat(1000)), { maxLength: 10 }),
      from: time,
    })
    .map(({ texts, from, ...channel }) => {
      let atMs = from
      const list = texts.map(([text, laterMs]) => {
        atMs += laterMs
        return { text, textBytes: Buffer.byteLength(text), atMs }
      })
      const top = Math.max(channel.offset, list.length)
      return { ...channel, offset: top, publications: list.length, list }
    }),
  { maxLength: 10 },
)
const keys = fc.array(
  fc.record({ channel: fc.string({ unit: 'binary' }), key: fc.string(), epoch, offset, untilMs: time }),
)

function linesOf(written: Read): string[] {
  const lines = [HEAD_LINE]
  for (const { list, ...channel } of written.channels) {
    lines.push(channelLine(channel), ...list.map(({ atMs, text }) => publicationLine(atMs, text)))
  }
  return [...lines, ...written.keys.map(keyLine)]
}

test('what was written is read again', () => {
  fc.assert(
    fc.property(channels, keys, (some, others) => {
      const written = { channels: some, keys: others }
      const lines = linesOf(written)
      for (const line of lines) expect(line).not.toContain('\n')
      expect(read(lines)).toEqual(written)
    }),
  )
})

test('channels that are not wanted are passed over with their publications', () => {
  fc.assert(
    fc.property(channels, keys, fc.func(fc.boolean()), (some, others, isWanted) => {
      const found = read(linesOf({ channels: some, keys: others }), name => isWanted(name))
      expect(found.channels).toEqual(some.filter(({ name }) => isWanted(name)))
      expect(found.keys).toEqual(others)
    }),
  )
})

test('a file that ends after any of its lines but the last of a channel is not whole', () => {
  const channel = { name: 'a', epoch: 'e', offset: 9, usedMs: 1, publications: 2 }
  const lines = [HEAD_LINE, channelLine(channel), publicationLine(1, '{}'), publicationLine(1, '{}')]
  expect(() => read([])).toThrow('there is no head')
  expect(() => read(lines.slice(0, 2))).toThrow('2 publications are missing')
  expect(() => read(lines.slice(0, 3))).toThrow('1 publications are missing')
  expect(read(lines).channels[0]?.list).toHaveLength(2)
})

const good = { channel: 'a', epoch: 'e', offset: 2, used: 1, publications: 2 }
const goodKey = { key: 'k', channel: 'a', epoch: 'e', offset: 2, until: 1 }

test.each<[what: string, lines: readonly string[]]>([
  ['no head', [JSON.stringify(good)]],
  ['another version', ['{"fanwire":"histories","version":2}']],
  ['an empty line', [HEAD_LINE, '']],
  ['no JSON', [HEAD_LINE, '{"channel']],
  ['a list', [HEAD_LINE, '[]']],
  ['a number', [HEAD_LINE, '1']],
  ['null', [HEAD_LINE, 'null']],
  ...(['channel', 'epoch', 'offset', 'used', 'publications'] as const).map((name): [string, string[]] => [
    `no ${name}`,
    [HEAD_LINE, JSON.stringify({ ...good, [name]: undefined })],
  ]),
  ...[-1, 1.5, '1', 2 ** 53, null].map((offset): [string, string[]] => [
    `the offset ${JSON.stringify(offset)}`,
    [HEAD_LINE, JSON.stringify({ ...good, offset })],
  ]),
  ['an epoch that would break a reply', [HEAD_LINE, JSON.stringify({ ...good, epoch: '"' })]],
  ['an empty epoch', [HEAD_LINE, JSON.stringify({ ...good, epoch: '' })]],
  ['more publications than offsets', [HEAD_LINE, JSON.stringify({ ...good, publications: 3 })]],
  ['a key that is no text', [HEAD_LINE, JSON.stringify({ ...goodKey, key: 1 })]],
  ['a key without its end', [HEAD_LINE, JSON.stringify({ ...goodKey, until: undefined })]],
  ...['', '[]', '[1]', '[,{}]', '[1x,{}]', '[1,{}', '1,{}]', '[-1,{}]', '[1234567890123456,{}]'].map(
    (line): [string, string[]] => [`the publication ${line}`, [HEAD_LINE, JSON.stringify(good), line]],
  ),
  ['a comma only in the next line', [HEAD_LINE, JSON.stringify(good), '[1]', '[2,{}]']],
  ['a publication of another channel', [HEAD_LINE, JSON.stringify(good), '[1,"foreign"]']],
  ['a publication older than the one before', [HEAD_LINE, JSON.stringify(good), '[2,{}]', '[1,{}]']],
])('%s is damage', (_, lines) => {
  expect(() => read(lines)).toThrow(expect.objectContaining({ name: 'KeptDamageError' }))
})
