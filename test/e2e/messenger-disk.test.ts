// The disk under the messenger fails: full, or unable to sync. What can't be made durable is refused with a reason, the
// relay goes on, and afterwards all is well without a repair.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runProgram } from '../support/program.ts'
import { RawClient } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

const isRoot = process.getuid?.() === 0
const hasCompiler = spawnSync('cc', ['--version']).status === 0

const STORAGE = 1009
const PASSWORD = 'a password for tests 1'
const LARGE = 'large '.repeat(1_300)

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-disk-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function start(path: string, env: Record<string, string> = {}): Promise<TestRelay> {
  const messenger = { enabled: true, path, message_rate: 1_000_000 }
  const client = { allow_anonymous_connect_without_token: false }
  return startTestRelay({ shards: 1, client, messenger }, env)
}

class Writer {
  readonly client: RawClient
  readonly acknowledged: { seq: number; text: string }[] = []
  #id = 10

  private constructor(client: RawClient) {
    this.client = client
  }

  static async open(
    relay: TestRelay,
    method: 'auth.signup' | 'auth.login',
    nickname: string,
  ): Promise<Writer> {
    const client = await RawClient.open(relay, 'tcp')
    const data = { nickname, password: PASSWORD }
    expect((await client.call({ id: 1, rpc: { method, data } })).error).toBeUndefined()
    expect((await client.call({ id: 2, connect: {} })).error).toBeUndefined()
    return new Writer(client)
  }

  async call(method: string, data: object): Promise<any> {
    const id = ++this.#id
    const { rpc, error } = await this.client.call({ id, rpc: { method, data } })
    return { result: rpc?.data, error }
  }

  async send(text: string): Promise<any> {
    const { result, error } = await this.call('message.send', {
      conversation: 1,
      client_id: `c${this.#id}`,
      text,
    })
    if (error === undefined) this.acknowledged.push({ seq: result.message.seq, text: text.trimEnd() })
    return error
  }

  async readAll(): Promise<{ seq: number; text: string }[]> {
    const all: { seq: number; text: string }[] = []
    for (;;) {
      const page = { conversation: 1, after: all.at(-1)?.seq ?? 0, limit: 50 }
      const { result, error } = await this.call('message.list', page)
      expect(error).toBeUndefined()
      for (const { seq, text } of result.messages) all.push({ seq, text })
      if (result.messages.length === 0) return all
    }
  }
}

/** While nothing can be stored: who is connected stays so, what needs no disk is done, what is there can be read. */
async function expectServing(writer: Writer, reader: Writer): Promise<void> {
  await reader.call('message.typing', { conversation: 1, typing: true })
  const isTyping = ({ push }: any) => push?.pub?.data?.type === 'typing'
  expect((await writer.client.next(isTyping)).push.channel).toBe('im:c:1')
  expect(await writer.readAll()).toEqual(writer.acknowledged)
}

async function expectAllAfterRestart(path: string, relay: TestRelay, writer: Writer): Promise<void> {
  expect(await writer.readAll()).toEqual(writer.acknowledged)
  expect(await relay.stop()).toBe(0)
  const again = await start(path)
  const reader = await Writer.open(again, 'auth.login', 'ann')
  expect(await reader.readAll()).toEqual(writer.acknowledged)
  expect(await again.stop()).toBe(0)
  expect(await runProgram(['check-data', path])).toMatchObject({ code: 0 })
}

test.skipIf(!isRoot)('a full disk: refused with a reason, and written again when there is room', async () => {
  const path = temporaryFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', path])
  onTestFinished(() => void spawnSync('umount', ['-l', path]))
  const relay = await start(path)
  const writer = await Writer.open(relay, 'auth.signup', 'ann')
  const reader = await Writer.open(relay, 'auth.signup', 'ben')
  let error: any
  while (error === undefined) error = await writer.send(LARGE)
  expect(error).toMatchObject({ code: STORAGE, temporary: true })
  expect(error.message).toContain('disk is full')
  await expectServing(writer, reader)
  execFileSync('mount', ['-o', 'remount,size=64m', path])
  expect(await writer.send('there is room')).toBeUndefined()
  await expectAllAfterRestart(path, relay, writer)
})

/** Makes fsync and fdatasync fail while a file is there. */
const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int fails(void) { const char *path = getenv("SYNC_FAILS_WHILE"); return path && access(path, F_OK) == 0; }
int fsync(int fd) { if (fails()) { errno = EIO; return -1; } return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { if (fails()) { errno = EIO; return -1; } return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
`

test.skipIf(!hasCompiler)(
  'a disk that can not sync: refused with a reason, and written again when it can',
  async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'data')
    const trigger = join(folder, 'fails')
    writeFileSync(join(folder, 'shim.c'), SHIM)
    const library = join(folder, 'shim.so')
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, join(folder, 'shim.c'), '-ldl'])
    const relay = await start(path, { LD_PRELOAD: library, SYNC_FAILS_WHILE: trigger })
    const writer = await Writer.open(relay, 'auth.signup', 'ann')
    const reader = await Writer.open(relay, 'auth.signup', 'ben')
    expect(await writer.send('before')).toBeUndefined()
    writeFileSync(trigger, '')
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(await writer.send('not durable')).toMatchObject({ code: STORAGE, temporary: true })
    }
    await expectServing(writer, reader)
    rmSync(trigger)
    expect(await writer.send('after')).toBeUndefined()
    await expectAllAfterRestart(path, relay, writer)
  },
)
