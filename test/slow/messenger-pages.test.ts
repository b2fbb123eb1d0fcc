// Many calls of one frame with large answers: a client that asks for pages of all its conversations at once gets them as
// it reads, and is not ended as a slow one.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loggedIn, must, type Person } from '../support/people.ts'
import { RawClient } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { sumOf, TRANSPORTS, until } from '../support/serving.ts'
import { upTo } from './publishing.ts'

/** Together 9 MB: more than the kernel's buffers and the hard limit of an outbox by far. */
const PAGES = 64
/** More than a page holds. */
const MESSAGES = 8
const TEXT = '漢'.repeat(8_000)
let relay: TestRelay
let path: string
let ann: Person

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-pages-'))
  relay = await startTestRelay({
    client: { allow_anonymous_connect_without_token: false },
    messenger: { enabled: true, path, message_rate: 1_000_000 },
  })
  ann = await loggedIn(relay, 'auth.signup', 'ann')
  for (const n of upTo(MESSAGES)) {
    await must(ann, 'message.send', { everyone: true, client_id: `m${n}`, text: TEXT })
  }
})

afterAll(async () => {
  expect(await relay?.metric('fanwire_disconnects_total{code="3008"}')).toBe(0)
  expect(await relay?.stop()).toBe(0)
  rmSync(path, { recursive: true, force: true })
})

test.each(TRANSPORTS.flatMap(way => [`${way}, which reads`, `${way}, which reads later`] as const))(
  'over %s',
  { timeout: 60_000 },
  async name => {
    const [way] = name.split(',') as ['websocket' | 'tcp']
    const client = await RawClient.connect(relay, way, { token: ann.connection })
    const isLate = name.endsWith('later')
    if (isLate) client.pause()
    const data = { conversation: 1, after: 0 }
    client.send(...upTo(PAGES).map(n => ({ id: 2 + n, rpc: { method: 'message.list', data } })))
    if (isLate) await until(async () => (await sumOf(relay, 'fanwire_lagging_connections')) === 1)
    client.resume()
    const pages = await Promise.all(upTo(PAGES).map(n => client.next(({ id }) => id === 2 + n)))
    expect(pages.filter(({ rpc }) => !(rpc?.data.messages.length > 4))).toEqual([])
    client.close()
  },
)
