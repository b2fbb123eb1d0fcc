// Which pages may connect depends on whether anybody has to show a token or key.

import { expect, onTestFinished, test } from 'vitest'
import { exchange, openSocket, upgradeRequest } from '../support/raw-client.ts'
import { startTestRelay } from '../support/relay.ts'

const LISTED = 'https://chat.example'
const GUARDED = {
  client: {
    token: { hmac_secret_key: 'a secret of this test' },
    allow_anonymous_connect_without_token: false,
    allowed_origins: [LISTED],
  },
}

test.each([
  ['tokens are asked for', {}, {}, 101],
  ['clients may come without a token', { allow_anonymous_connect_without_token: true }, {}, 403],
  ['nothing of clients is checked', { insecure: true }, {}, 403],
  ['nothing of the server API is checked', {}, { insecure: true }, 403],
])(
  'where %s a page of the same host is answered as it should be, and a listed one may connect',
  async (_name, client, http_api, status) => {
    const relay = await startTestRelay({ client: { ...GUARDED.client, ...client }, http_api })
    onTestFinished(async () => {
      expect(await relay.stop()).toBe(0)
    })
    const statusOf = async (origin: string) => {
      const { socket } = await openSocket(relay.ports.http)
      const { head } = await exchange(socket, upgradeRequest({ Host: 'relay.example:8000', Origin: origin }))
      socket.destroy()
      return Number(head.split(' ')[1])
    }
    expect(await statusOf('http://relay.example:8000')).toBe(status)
    expect(await statusOf(LISTED)).toBe(101)
    expect(await statusOf('https://evil.example')).toBe(403)
  },
)
