// How the main thread asks the threads of the load, when these end. In place of a server: an address where nobody is.

import { expect, onTestFinished, test } from 'vitest'
import { startReceiver } from '../../../load/stage/thread.ts'

const endpoint = {
  dialect: new URL('../../../load/generator/fanwire.ts', import.meta.url).href,
  websocket: 'ws://127.0.0.1:1/',
  sources: [],
  channelPrefix: 'nobody-',
}

test('one that has been stopped answers at once that it has', async () => {
  const receiver = startReceiver({ role: 'receiver', index: 0, endpoint, seed: 1 })
  expect(await receiver.ask({ kind: 'progress' })).toMatchObject({ connections: 0, deliveries: 0 })
  await receiver.stop()
  await expect(receiver.ask({ kind: 'progress' })).rejects.toThrow('receiver 0: has been stopped')
  await receiver.stop()
})

test('one that ended by itself fails, and whatever it is asked with it', async () => {
  const dialect = 'data:text/javascript,throw new Error("no such dialect")'
  const receiver = startReceiver({ role: 'receiver', index: 3, endpoint: { ...endpoint, dialect }, seed: 1 })
  onTestFinished(() => receiver.stop())
  await expect(receiver.ask({ kind: 'progress' })).rejects.toThrow('receiver 3: Error: no such dialect')
  await expect(receiver.failed).rejects.toThrow('no such dialect')
  await expect(receiver.ask({ kind: 'progress' })).rejects.toThrow('no such dialect')
})
