import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { health, healthUrl } from '../../src/cli/health.ts'
import { runProgram } from '../support/program.ts'
import { startTestRelay } from '../support/relay.ts'

/** What the command says about a relay on this port, and its exit code. */
async function ask(port: number, ...flags: readonly string[]): Promise<{ code: number; printed: string }> {
  let printed = ''
  const code = await health(['--http_server.internal_port', String(port), ...flags], text => {
    printed += text
  })
  return { code, printed }
}

/** A server that answers everything with this status and text. */
async function answering(status: number, text: string): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(status).end(text))
  onTestFinished(() => void server.close())
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return (server.address() as AddressInfo).port
}

test('a relay that works: exit code 0, and what it answered', async () => {
  const relay = await startTestRelay()
  const url = `http://127.0.0.1:${relay.ports.internal}/health`
  expect(await ask(relay.ports.internal)).toEqual({ code: 0, printed: `${url}: 200 {"status":"ok"}\n` })
  expect(await relay.stop()).toBe(0)
  const { code, printed } = await ask(relay.ports.internal)
  expect(code).toBe(1)
  expect(printed).toContain(`${url}: no answer (`)
})

test('a relay with a stuck shard: exit code 1, and which one', async () => {
  const port = await answering(503, '{"status":"failing","detail":{"stuck":[1]}}\n')
  const { code, printed } = await ask(port)
  expect(code).toBe(1)
  expect(printed).toContain('503 {"status":"failing","detail":{"stuck":[1]}}')
})

test.each([
  ['127.0.0.1', 'http://127.0.0.1:9000/health'],
  ['localhost', 'http://localhost:9000/health'],
  ['0.0.0.0', 'http://127.0.0.1:9000/health'],
  ['::', 'http://[::1]:9000/health'],
  ['fd00::7', 'http://[fd00::7]:9000/health'],
])('a relay that listens on %s is asked at %s', (internal_address, url) => {
  expect(healthUrl({ internal_address, internal_port: 9000 })).toBe(url)
})

test('any free port can not be asked: exit code 2', async () => {
  expect(await runProgram(['health', '--http_server.internal_port', '0'])).toEqual({
    code: 2,
    stdout: '',
    stderr: 'fanwire: http_server.internal_port: 0 is any free port, and health has to know which one\n',
  })
})

test('the program knows the command, and passes its exit code on', async () => {
  for (const [status, code] of [
    [200, 0],
    [503, 1],
  ] as const) {
    const port = await answering(status, '{}')
    expect((await runProgram(['health', '--http_server.internal_port', String(port)])).code).toBe(code)
  }
})
