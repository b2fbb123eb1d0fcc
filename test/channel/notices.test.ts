import { expect, test } from 'vitest'
import { createNotices } from '../../src/channel/notices.ts'

test('all who listen to a topic get what is told under it from then on, and nobody else', () => {
  const notices = createNotices()
  const heard: string[] = []
  notices.tell('lock', 'too early')
  notices.on('lock', text => heard.push(`one ${text}`))
  notices.on('lock', text => heard.push(`two ${text}`))
  notices.on('other', text => heard.push(`other ${text}`))
  notices.tell('lock', '1')
  expect(heard).toEqual(['one 1', 'two 1'])
})
