// Files over real HTTP: the library's server, our routes, a messenger in this process.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { MessengerOptions } from '../../src/config/schema.ts'
import { createApp, listen } from '../../src/edge/uws.ts'
import { attachFetch } from '../../src/http/fetch.ts'
import { contentPath, type Part } from '../../src/messenger/files/paths.ts'
import { createMessengerHttp, MESSENGER_PATTERN } from '../../src/messenger/http/app.ts'
import { openMessenger, type TestMessenger, type TestUser } from '../support/messenger.ts'

export type FilesWorld = TestMessenger &
  Readonly<{
    /** http://…/messenger */
    url: string
    /** Errors that no client was told of. */
    faults: unknown[]
    request: (user: TestUser | undefined, path: string, init?: RequestInit) => Promise<Response>
    /** In one request. Fails the test when it is refused. */
    upload: (user: TestUser, bytes: Uint8Array, query?: Record<string, string>) => Promise<any>
    bytes: (user: TestUser, path: string) => Promise<Buffer>
    /** On the disk. */
    hasContent: (sha256: string, part?: Part) => boolean
    names: (folder: 'blobs' | 'thumbs' | 'uploads' | 'tmp') => string[]
  }>

export function openFiles(changed: Partial<MessengerOptions> & { path?: string } = {}): FilesWorld {
  const opened = openMessenger(changed)
  const { messenger, relay, options, path } = opened
  const faults: unknown[] = []
  // Two shards, so that an upload may be begun at one and go on at the other.
  const shards = [0, 1].map(() =>
    createMessengerHttp({
      port: messenger,
      options,
      dataPath: path,
      isPageAllowed: origin => origin === '',
      addressOf: peer => peer,
      nowMs: Date.now,
      onError: error => faults.push(error),
    }),
  )
  relay.notice = (topic, text) => {
    relay.notices.push({ topic, text })
    for (const shard of shards) shard.notices.get(topic)?.(text)
  }
  const server = createApp(undefined)
  let requests = 0
  attachFetch(
    server,
    MESSENGER_PATTERN,
    (request, peer) => shards[requests++ % shards.length]!.fetch(request, peer),
    error => faults.push(error),
  )
  const listening = listen(server, '127.0.0.1', 0, false)!
  onTestFinished(() => {
    listening.close()
    server.close()
  })
  const url = `http://127.0.0.1:${listening.port}/messenger`
  const request: FilesWorld['request'] = (user, to, init = {}) => {
    const headers = new Headers(init.headers)
    if (user !== undefined) headers.set('authorization', `Bearer ${user.token}`)
    return fetch(`${url}${to}`, { ...init, headers })
  }
  return {
    ...opened,
    url,
    faults,
    request,
    async upload(user, bytes, query = {}) {
      const response = await request(user, `/files?${new URLSearchParams(query)}`, {
        method: 'POST',
        body: bytes,
      })
      const answer = (await response.json()) as any
      if (response.status !== 201) throw new Error(JSON.stringify(answer))
      return answer.file
    },
    async bytes(user, to) {
      const response = await request(user, to)
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
      return Buffer.from(await response.arrayBuffer())
    },
    hasContent: (sha256, part = 'original') => existsSync(contentPath(path, sha256, part)),
    names: folder => readdirSync(join(path, folder), { recursive: true, encoding: 'utf8' }).sort(),
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
