// Programs of peers: how they fail to start, end by themselves, and end with who started them.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { peers } from '../../../load/peers/list.ts'
import { findProgram, startProgram, startScript, versionOf } from '../../../load/peers/program.ts'

test('one that is not installed has no version and can not be started', async () => {
  expect(await findProgram('fanwire-has-no-such-program')).toBeUndefined()
  expect(await versionOf('fanwire-has-no-such-program', [])).toBeUndefined()
  const start = startProgram(
    'fanwire-has-no-such-program',
    () => '',
    () => [],
  )
  await expect(start).rejects.toThrow('is not installed')
})

test('one that ends at once is reported with what it said', async () => {
  const start = startProgram(
    'node',
    () => "process.stderr.write('bad weather'); process.exit(1)",
    configFile => [configFile],
  )
  await expect(start).rejects.toThrow('node did not start: it ended: bad weather')
})

test('one that ends in the middle is reported', async () => {
  const program = await startScript('ws')
  onTestFinished(program.stop)
  process.kill(program.pid, 'SIGKILL')
  await expect(program.failed).rejects.toThrow('ws ended in the middle')
})

test.for(peers)('$name ends when who started it is killed', async (peer, { skip }) => {
  if ((await peer.version()) === undefined) skip(`not installed: ${peer.install}`)
  const list = new URL('../../../load/peers/list.ts', import.meta.url).href
  const script = `
    const { peers } = await import('${list}')
    const target = await peers.find(({ name }) => name === '${peer.name}').start()
    console.log(new URL(target.endpoint.websocket).port)
  `
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void starter.kill('SIGKILL'))
  const [port] = await once(createInterface({ input: starter.stdout }), 'line')
  expect(await accepts(Number(port))).toBe(true)
  starter.kill('SIGKILL')
  await expect.poll(() => accepts(Number(port)), { timeout: 20_000 }).toBe(false)
})

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
