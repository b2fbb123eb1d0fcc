import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jwtVerify } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const START = fileURLToPath(new URL('../../src/start.mjs', import.meta.url))

type Outcome = Readonly<{ code: number; stdout: string; stderr: string }>

function run(argv: readonly string[], env: Record<string, string> = {}, entry = MAIN): Promise<Outcome> {
  return new Promise(resolve => {
    execFile(process.execPath, [entry, ...argv], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

function fileWith(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'relay.yaml')
  writeFileSync(path, text)
  return path
}

test('--version prints the version of the package', async () => {
  const outcome = await run(['--version'])
  expect(outcome).toMatchObject({ code: 0, stderr: '' })
  expect(outcome.stdout).toBe(`fanwire ${packageJson.version} (Node ${process.versions.node})\n`)
})

test.each([[['--help']], [['help']], [['-h']], [['token', '--help']]])('%j prints the help', async argv => {
  const { code, stdout } = await run(argv)
  expect(code).toBe(0)
  for (const word of ['serve', 'check-config FILE', 'print-config', 'token --user U', '--version']) {
    expect(stdout).toContain(word)
  }
})

test('the entry for any Node leads to the same commands', async () => {
  expect((await run(['--version'], {}, START)).stdout).toContain(packageJson.version)
})

test('an unknown command: exit code 2, one line, the nearest known one', async () => {
  expect(await run(['chek-config'])).toEqual({
    code: 2,
    stdout: '',
    stderr: 'fanwire: unknown command "chek-config"; the nearest known one is check-config (see --help)\n',
  })
  expect((await run(['constructor'])).code).toBe(2)
})

test('check-config says that a file is right', async () => {
  const path = fileWith('channel: { namespaces: [{ name: chat }] }')
  expect(await run(['check-config', path])).toEqual({
    code: 0,
    stdout: `${path}: the configuration is right (1 namespace)\n`,
    stderr: '',
  })
})

test('check-config names what is wrong: exit code 2 and one line', async () => {
  const path = fileWith('client:\n  ping_interval: 25\n')
  expect(await run(['check-config', path])).toEqual({
    code: 2,
    stdout: '',
    stderr: `fanwire: client.ping_interval: 25 is not allowed (set in ${path}, line 2); it must be a duration with its unit (ms, s, m, h), from "1s" to "1h"\n`,
  })
})

test('check-config looks at the environment, too, as serve does', async () => {
  const { code, stderr } = await run(['check-config', fileWith('')], { FANWIRE_SHARDS: '65' })
  expect(code).toBe(2)
  expect(stderr).toContain('FANWIRE_SHARDS')
})

test('check-config needs a file', async () => {
  expect(await run(['check-config'])).toMatchObject({
    code: 2,
    stderr: 'fanwire: check-config needs the path of a file: check-config FILE\n',
  })
})

test('what print-config prints, check-config accepts', async () => {
  const { stdout } = await run(['print-config'])
  expect(await run(['check-config', fileWith(stdout)])).toMatchObject({ code: 0, stderr: '' })
})

test('serve with a wrong flag ends before anything starts', async () => {
  const wrong = {
    code: 2,
    stderr: 'fanwire: unknown flag --client.insecur; the nearest known one is --client.insecure\n',
  }
  expect(await run(['--client.insecur'])).toMatchObject(wrong)
  expect(await run(['serve', '--client.insecur'])).toMatchObject(wrong)
})

test('token signs with the key of the configuration', async () => {
  const path = fileWith('client: { token: { hmac_secret_key: the-key-of-the-file } }')
  const { code, stdout } = await run(['token', '--user', '42', '--config', path])
  expect(code).toBe(0)
  const { payload } = await jwtVerify(stdout.trim(), new TextEncoder().encode('the-key-of-the-file'))
  expect(payload.sub).toBe('42')
})

test('token without a key: exit code 2', async () => {
  const { code, stderr } = await run(['token', '--user', '42'])
  expect(code).toBe(2)
  expect(stderr).toContain('client.token.hmac_secret_key')
})
