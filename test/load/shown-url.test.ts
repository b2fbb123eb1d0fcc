import { expect, test } from 'vitest'
import { shownUrl } from '../../load/shown-url.ts'

test.each([
  ['ws://relay:8000/connection/websocket', 'ws://relay:8000/connection/websocket'],
  ['wss://relay/connection/websocket?token=secret', 'wss://relay/connection/websocket?…'],
  ['wss://relay/#secret', 'wss://relay/?…'],
  ['https://user:secret@relay/metrics?key=secret', 'https://…@relay/metrics?…'],
  ['http://user:sec@ret@relay', 'http://…@relay'],
  ['http://relay/a@b', 'http://relay/a@b'],
])('%s is shown without secrets', (url, shown) => {
  expect(shownUrl(url)).toBe(shown)
})
