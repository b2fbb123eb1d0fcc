// Every peer under a real load, so small that it ends within seconds: what is judged is that all arrives.

import { describe, test, vi } from 'vitest'
import { LoadError } from '../../load/errors.ts'
import { peers } from '../../load/peers/list.ts'
import { loadPeer } from '../../load/peers/measure.ts'
import { type PeersOptions, parsePeersOptions } from '../../load/peers/options.ts'
import { compareSideBySide } from '../../load/peers/side-by-side.ts'
import { renderMarkdown, renderText } from '../../load/peers/table.ts'
import { fanout } from '../../load/scenarios/fanout.ts'

const LOAD = { subscribers: 20, rate: 200, durationS: 1, receivers: 2 }

// They run at the same time, each with a server and threads of its own; on a busy machine that takes its time.
vi.setConfig({ testTimeout: 120_000 })

function smokeOptions(...argv: string[]): PeersOptions {
  const options = parsePeersOptions(['--smoke', ...argv], peers) as PeersOptions
  return { ...options, secondsEach: 0.3, idleSeconds: 0.5 }
}

describe.concurrent('under load', () => {
  test.for(peers)('$name delivers everything, once and in order', async (peer, { expect, skip }) => {
    if ((await peer.version()) === undefined) skip(`not installed: ${peer.install}`)
    const context = { options: smokeOptions(), signal: new AbortController().signal }
    const result = await loadPeer(peer, fanout, LOAD, context)
    if (result instanceof LoadError) throw result
    const { ledger, verdict, latency, target } = result
    expect(verdict.faults).toEqual([])
    expect(ledger).toMatchObject({
      refused: 0,
      unknown: 0,
      lost: 0,
      duplicated: 0,
      outOfOrder: 0,
      unreadable: 0,
    })
    // At least what was due in the measured second.
    expect(ledger.sent).toBeGreaterThanOrEqual(LOAD.rate)
    expect(ledger.delivered).toBe(ledger.sent * LOAD.subscribers)
    expect(latency.last.count).toBeGreaterThan(0)
    expect(target).toMatchObject({ kind: 'peer', name: peer.title })
    expect(target.version).toMatch(/^\d+\.\d+/)
    if (process.platform === 'linux') expect(Number.isFinite(result.server!.cpuUsPerDelivery)).toBe(true)
  })
})

describe.concurrent('side by side', () => {
  test('in each round each peer has its turn', async ({ expect }) => {
    const lines: string[] = []
    const options = smokeOptions('--only', 'uwebsockets,ws', '--parts', 'cost', '--rounds', '2')
    const io = { say: (line: string) => void lines.push(line), signal: new AbortController().signal }
    const result = await compareSideBySide(options, io)
    expect(result.troubles).toEqual([])
    expect(result.peers.map(({ name }) => name)).toEqual(['uwebsockets', 'ws'])
    for (const peer of result.peers) {
      expect(peer.shapes.smoke).toHaveLength(2)
    }
    const turns = lines.map(line => /(\S+): /.exec(line)![1])
    expect(turns).toHaveLength(4)
    // The second round goes the other way.
    expect(turns[0]).toBe(turns[3])
    expect(turns[1]).toBe(turns[2])
    expect(renderText(result)).toContain('raw uWebSockets.js')
    expect(renderMarkdown(result)).toContain('| ws ')
  })

  test('the highest clean rate and the memory of a connection are measured, too', async ({ expect }) => {
    const options = smokeOptions('--only', 'uwebsockets', '--parts', 'knee,memory')
    const io = { say: () => {}, signal: new AbortController().signal }
    const [peer] = (await compareSideBySide(options, io)).peers
    expect(peer!.knee).toHaveLength(1)
    expect(peer!.knee[0]!.highest).toBeLessThanOrEqual(options.kneeRateMax)
    expect(peer!.idle).toHaveLength(1)
    expect(peer!.idle[0]!.connectsPerSecond).toBeGreaterThan(0)
    if (process.platform === 'linux') expect(Number.isFinite(peer!.idle[0]!.bytesPerConnection)).toBe(true)
  })

  test('a peer that is not installed is named with how to install it; the others are measured', async ({
    expect,
  }) => {
    const absent = { ...peers.find(({ name }) => name === 'nats')!, version: async () => undefined }
    const options = { ...smokeOptions('--only', 'uwebsockets', '--parts', 'cost') }
    const lines: string[] = []
    const io = { say: (line: string) => void lines.push(line), signal: new AbortController().signal }
    const result = await compareSideBySide({ ...options, peers: [...options.peers, absent] }, io)
    expect(result.peers).toHaveLength(1)
    expect(result.missing).toEqual([{ name: 'nats', title: absent.title, install: absent.install }])
    expect(lines[0]).toContain('apt-get install nats-server')
  })

  test('one that can not be started spoils no other figure', async ({ expect }) => {
    const broken = {
      ...peers.find(({ name }) => name === 'ws')!,
      start: () => Promise.reject(new LoadError('it did not start: bad weather')),
    }
    const options = { ...smokeOptions('--only', 'uwebsockets', '--parts', 'cost') }
    const io = { say: () => {}, signal: new AbortController().signal }
    const result = await compareSideBySide({ ...options, peers: [broken, ...options.peers] }, io)
    expect(result.troubles).toEqual([expect.stringContaining('bad weather')])
    expect(result.peers[1]!.shapes.smoke).toHaveLength(1)
    expect(renderText(result)).toContain('bad weather')
  })

  test('whoever ends it gets no half figures', async ({ expect }) => {
    const stop = new AbortController()
    stop.abort()
    const io = { say: () => {}, signal: stop.signal }
    await expect(compareSideBySide(smokeOptions('--only', 'ws', '--parts', 'cost'), io)).rejects.toThrow(
      'abort',
    )
  })
})
