// Histories on their way from homes over files to other homes.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { monotonicMs } from '../../src/base/clock.ts'
import type { Log } from '../../src/base/log.ts'
import { KEPT_LINE_BYTES_MAX } from '../../src/history/kept.ts'
import { slots } from '../../src/metrics/slots.ts'
import { keepHistories, takeOverHistories } from '../../src/threads/shard-histories.ts'
import type { KeptFile } from '../../src/threads/topology.ts'
import {
  createHome,
  optionsOf as optionsOfTests,
  publish,
  RecordingOutlet,
  type TestHome,
} from '../channel/recording-outlet.ts'

// Both clocks are ours, so that they can part.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['hrtime', 'Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-histories-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

type Complaint = Readonly<{ file: string; line: number | undefined; reason: string }>

function createRecordingLog() {
  const complaints: Complaint[] = []
  const log: Log = { info() {}, warn() {}, error: fields => void complaints.push(fields as Complaint) }
  return { log, complaints }
}

type Options = NonNullable<Parameters<typeof createHome>[0]>

async function takeOver(
  folder: string,
  files: readonly KeptFile[],
  { isHomeHere = () => true, ...options }: Options & { isHomeHere?: (channel: string) => boolean } = {},
) {
  const shard = createHome(options)
  const { log, complaints } = createRecordingLog()
  const taken = await takeOverHistories({ folder, files, home: shard.home, isHomeHere, log })
  return { ...shard, taken, complaints }
}

/** All that a home holds, by channel; times as the present ages. */
function held({ home }: Pick<TestHome, 'home'>) {
  const nowMs = monotonicMs()
  const channels = [...home.held()].map(({ name, epoch, offset, entries }) => [
    name,
    {
      epoch,
      offset,
      texts: entries.map(({ json }) => json),
      agesMs: entries.map(({ atMs }) => nowMs - atMs),
    },
  ])
  return Object.fromEntries(channels) as Record<
    string,
    { epoch: string; offset: number; texts: string[]; agesMs: number[] }
  >
}

const datasIn = (home: Pick<TestHome, 'home'>, channel: string) =>
  held(home)[channel]?.texts.map(text => JSON.parse(text).push.pub.data)

const ROOMY_OUTLET = Object.assign(new RecordingOutlet(), { lineBytesMax: 100_000_000 })
const ROOMY = { historyBytesMax: 1 << 30, outlet: ROOMY_OUTLET }

/** Short publications, and some about as long as a piece of a file or a part of it. */
const size = fc.oneof(
  fc.nat(50),
  fc.integer({ min: 1_040_000, max: 1_050_000 }),
  fc.integer({ min: 349_400, max: 349_600 }),
)
const letter = fc.constantFrom('x', 'ä', '\u20ac', '\u{1f600}')

test('come whole to the homes of any number of shards, wherever the pieces of the files end', async () => {
  const publication = fc.record({ channel: fc.nat(5), size, letter, laterMs: fc.nat(100) })
  const shards = fc.integer({ min: 1, max: 3 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(publication, { maxLength: 20 }),
      shards,
      shards,
      async (publications, shardsBefore, shardsAfter) => {
        const folder = createFolder()
        const before = Array.from({ length: shardsBefore }, () => createHome(ROOMY))
        for (const { channel, size, letter, laterMs } of publications) {
          vi.advanceTimersByTime(laterMs)
          publish(before[channel % shardsBefore]!, `h:${channel}`, JSON.stringify(letter.repeat(size)))
        }
        const files = await Promise.all(before.map(({ home }, shard) => keepHistories(folder, shard, home)))
        const all = {}
        for (let shard = 0; shard < shardsAfter; shard++) {
          const isHomeHere = (name: string) => Number(name.slice(2)) % shardsAfter === shard
          const after = await takeOver(folder, files, { ...ROOMY, isHomeHere })
          expect(after.complaints).toEqual([])
          expect(Object.keys(held(after)).filter(name => !isHomeHere(name))).toEqual([])
          Object.assign(all, held(after))
        }
        expect(all).toEqual(Object.assign({}, ...before.map(home => held(home))))
      },
    ),
    { numRuns: 15 },
  )
})

test('a publication that the rings do not carry any more cuts off what is before it', async () => {
  const folder = createFolder()
  const before = createHome(ROOMY)
  for (const length of [10, 200_000, 20, 30]) publish(before, 'h:a', JSON.stringify('x'.repeat(length)))
  const after = await takeOver(folder, [await keepHistories(folder, 0, before.home)])
  expect(held(after)['h:a']).toMatchObject({
    ...held(before)['h:a'],
    texts: held(before)['h:a']!.texts.slice(2),
    agesMs: [0, 0],
  })
})

test('ages go on by the wall clock; one that was set back makes nothing younger than now', async () => {
  const folder = createFolder()
  const before = createHome()
  publish(before, 'h:a', '1')
  vi.advanceTimersByTime(30_000)
  publish(before, 'h:a', '2')
  const files = [await keepHistories(folder, 0, before.home)]
  const keptMs = Date.now()

  // A machine that was started anew: its monotonic clock says something else.
  vi.advanceTimersByTime(1_000_000)
  vi.setSystemTime(keptMs + 29_000)
  expect(held(await takeOver(folder, files))['h:a']).toMatchObject({ offset: 2, agesMs: [59_000, 29_000] })
  vi.setSystemTime(keptMs + 30_000)
  expect(datasIn(await takeOver(folder, files), 'h:a')).toEqual([2])
  vi.setSystemTime(keptMs + 60_000)
  expect(held(await takeOver(folder, files))['h:a']).toMatchObject({ offset: 2, texts: [] })
  vi.setSystemTime(keptMs - 3_600_000)
  expect(held(await takeOver(folder, files))['h:a']).toMatchObject({ agesMs: [0, 0] })
  // Longer than an unused channel is remembered.
  vi.setSystemTime(keptMs + 3_600_000)
  expect(held(await takeOver(folder, files))).toEqual({})
})

test('channels without history, without a namespace or without a place are left', async () => {
  const folder = createFolder()
  const before = createHome()
  for (const name of ['h:a', 'h:b', 'h:?c', 'h:d']) publish(before, name)
  publish(before, 'plain')
  const files = [await keepHistories(folder, 0, before.home)]
  expect(files[0]).toMatchObject({ channels: 4, publications: 4 })
  const all = await takeOver(folder, files)
  expect(all.taken).toEqual({ channels: 4, publications: 4 })
  const optionsOf = (name: string) => {
    if (name === 'h:a') return undefined
    return name === 'h:b' ? optionsOfTests('plain') : optionsOfTests(name)
  }
  const fewer = await takeOver(folder, files, { optionsOf })
  expect(Object.keys(held(fewer)).sort()).toEqual(['h:?c', 'h:d'])
  const small = await takeOver(folder, files, { capacity: 2 })
  expect(small.taken.channels).toBe(2)
  expect(small.complaints).toEqual([])
})

test('past the limit of memory the channels that were quiet longest lose theirs, now and later', async () => {
  const folder = createFolder()
  const [one, other] = [createHome(), createHome()]
  const data = JSON.stringify('x'.repeat(1000))
  for (const [home, name] of [
    [one, 'h:1'],
    [other, 'h:2'],
    [one, 'h:3'],
    [other, 'h:4'],
  ] as const) {
    vi.advanceTimersByTime(10)
    publish(home, name, data)
  }
  const files = [await keepHistories(folder, 0, one.home), await keepHistories(folder, 1, other.home)]
  const counts = (home: Pick<TestHome, 'home'>) =>
    Object.fromEntries(Object.entries(held(home)).map(([name, { texts }]) => [name, texts.length]))
  const after = await takeOver(folder, files, { historyBytesMax: 4 * 1200 })
  expect(counts(after)).toEqual({ 'h:1': 1, 'h:2': 1, 'h:3': 1, 'h:4': 1 })
  publish(after, 'h:5', data)
  publish(after, 'h:5', data)
  expect(counts(after)).toEqual({ 'h:1': 0, 'h:2': 0, 'h:3': 1, 'h:4': 1, 'h:5': 2 })
  const less = await takeOver(folder, files, { historyBytesMax: 2 * 1200 })
  expect(less.taken).toEqual({ channels: 4, publications: 2 })
  expect(less.row[slots.historyBytes]).toBeLessThanOrEqual(2 * 1200)
})

test('keys are remembered as long as they would have been, and not published again', async () => {
  const folder = createFolder()
  const before = createHome()
  const keyed = { idempotencyKey: 'k1' }
  const first = publish(before, 'h:a', '1', keyed)
  publish(before, 'plain', '1', keyed)
  vi.advanceTimersByTime(60_000)
  publish(before, 'h:a', '2', { idempotencyKey: 'k2' })
  const files = [await keepHistories(folder, 0, before.home)]
  expect(files[0]).toMatchObject({ keys: 3 })
  const after = await takeOver(folder, files)
  expect(publish(after, 'h:a', '1', keyed)).toEqual(first)
  expect(publish(after, 'plain', '1', keyed)).toEqual({ epoch: '', offset: 0 })
  vi.advanceTimersByTime(4 * 60_000 - 1)
  expect(publish(after, 'h:a', '1', keyed)).toEqual(first)
  vi.advanceTimersByTime(1)
  expect(publish(after, 'h:a', '1', keyed).offset).toBe(3)
  expect(publish(after, 'h:a', '1', { idempotencyKey: 'k2' }).offset).toBe(2)
})

/** Two homes with a channel and a key each; the first one's file is changed, and the list of files with it if it hides that. */
async function keepAndDamage(change: (text: string) => string, isHidden: boolean) {
  const folder = createFolder()
  const homes = [createHome(), createHome()] as const
  for (const [shard, home] of homes.entries()) {
    for (const data of ['"first"', '"second"']) publish(home, `h:${shard}`, data)
    publish(home, `h:${shard}`, '"third"', { idempotencyKey: 'k' })
  }
  const files = await Promise.all(homes.map(({ home }, shard) => keepHistories(folder, shard, home)))
  const path = join(folder, files[0]!.name)
  const text = readFileSync(path, 'utf8')
  const changed = change(text)
  expect(changed).not.toBe(text)
  writeFileSync(path, changed)
  if (isHidden) files[0] = { ...files[0]!, bytes: Buffer.byteLength(changed), crc32: crc32(changed) }
  return { folder, files, path, homes }
}

test.each<[what: string, change: (text: string) => string, isHidden: boolean, line: number, reason: string]>([
  ['a changed letter', text => text.replace('first', 'FIRST'), false, 7, 'its checksum is another'],
  ['a file that was cut', text => text.slice(0, 300), false, 5, 'ends after 300 of'],
  ['an empty file', () => '', false, 1, 'ends after 0 of'],
  ['a longer file', text => `${text}{}\n`, false, 1, 'longer than it was written'],
  ['no last line break', text => text.trimEnd(), true, 6, 'the last line has no end'],
  ['another version', text => text.replace('"version":1', '"version":2'), true, 1, 'not the head'],
  ['no JSON', text => text.replace('{"channel"', '{channel'), true, 2, 'not JSON'],
  [
    'no publications',
    text => text.split('\n').slice(0, 2).join('\n').concat('\n'),
    true,
    3,
    '3 publications are missing',
  ],
  ['a publication elsewhere', text => text.replace('"h:0","pub"', '"h:1","pub"'), true, 3, 'of this channel'],
  ['a publication that is cut', text => text.replace('}}}]', '}}]'), true, 3, 'of this channel'],
  ['nonsense at the end', text => `${text}[]\n`, true, 7, 'not a record'],
])(
  '%s: nothing of the file is used, and the log says where it is wrong',
  async (_, change, isHidden, line, reason) => {
    const { folder, files, path, homes } = await keepAndDamage(change, isHidden)
    const after = await takeOver(folder, files)
    expect(after.complaints).toEqual([{ file: path, line, reason: expect.stringContaining(reason) }])
    expect(after.taken).toEqual({ channels: 1, publications: 3 })
    expect(held(after)).toEqual(held(homes[1]))
    expect(after.row[slots.channels]).toBe(1)
    // Its keys are forgotten, too, and its channels start over.
    const started = publish(after, 'h:0', '"third"', { idempotencyKey: 'k' })
    expect(started.offset).toBe(1)
    expect(started.epoch).not.toBe(held(homes[0])['h:0']!.epoch)
  },
)

test('a line without end is given up before it takes the memory', async () => {
  const { folder, files } = await keepAndDamage(text => text + 'x'.repeat(KEPT_LINE_BYTES_MAX + 1), true)
  const { complaints, taken } = await takeOver(folder, files)
  expect(complaints).toMatchObject([{ line: 7, reason: 'a line is too long' }])
  expect(taken.channels).toBe(1)
})

test('a file that is not there is as good as a damaged one', async () => {
  const { folder, files, path, homes } = await keepAndDamage(() => '', false)
  rmSync(path)
  const after = await takeOver(folder, files)
  expect(after.complaints).toMatchObject([{ file: path, reason: expect.stringContaining('ENOENT') }])
  expect(held(after)).toEqual(held(homes[1]))
})

test('of a channel that is in two files the first is taken', async () => {
  const folder = createFolder()
  const [one, other] = [createHome(), createHome()]
  publish(one, 'h:a', '1')
  publish(other, 'h:a', '2')
  const files = [await keepHistories(folder, 0, one.home), await keepHistories(folder, 1, other.home)]
  expect(held(await takeOver(folder, files))).toEqual(held(one))
})
