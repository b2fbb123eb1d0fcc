import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { isEcho } from '../../src/cli/serve.ts'
import { startTestRelay } from '../support/relay.ts'

const PROGRAM = fileURLToPath(new URL('processes/serve.ts', import.meta.url))

function start(mode: string) {
  const child = spawn(process.execPath, [PROGRAM, mode], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let printed = ''
  let waiting: { text: string; resolve: () => void } | undefined
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    printed += piece
    if (waiting !== undefined && printed.includes(waiting.text)) waiting.resolve()
  })
  const until = (text: string) =>
    new Promise<void>(resolve => {
      waiting = { text, resolve }
      if (printed.includes(text)) resolve()
    })
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  return { child, until, ended }
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s stops the relay in order, and its exit code is passed on',
  async signal => {
    const { child, until, ended } = start('orderly')
    await until('started')
    child.kill(signal)
    await until(`stopping ${signal}`)
    expect(await ended).toBe(7)
  },
)

test('a second signal ends the process at once', async () => {
  const { child, until, ended } = start('stuck')
  await until('started')
  child.kill('SIGTERM')
  await until('stopping SIGTERM')
  child.kill('SIGINT')
  expect(await ended).toBe('SIGINT')
})

test('a second signal ends a relay with clients, and nothing crashes on the way', async () => {
  const relay = await startTestRelay({ shutdown: { drain_time: '10s' } })
  const client = new WebSocket(relay.websocketUrl)
  await once(client, 'open')
  // It takes no goodbye, so the relay waits for it.
  client.pause()
  const ended = once(relay.process, 'exit')
  relay.process.kill('SIGTERM')
  await expect.poll(() => relay.log.some(({ msg }) => msg === 'relay is stopping')).toBe(true)
  relay.process.kill('SIGINT')
  expect(await ended).toEqual([null, 'SIGINT'])
  client.terminate()
})

test('a stop that fails ends the process with an error', async () => {
  const { child, until, ended } = start('failing')
  await until('started')
  child.kill('SIGTERM')
  expect(await ended).toBe(1)
})

test('the same signal again within a moment is an echo of npm, another or a later one is not', () => {
  const first = { signal: 'SIGINT', atMs: 1_000 } as const
  expect(isEcho(first, { signal: 'SIGINT', atMs: 1_001 })).toBe(true)
  expect(isEcho(first, { signal: 'SIGINT', atMs: 1_100 })).toBe(false)
  expect(isEcho(first, { signal: 'SIGTERM', atMs: 1_001 })).toBe(false)
})
