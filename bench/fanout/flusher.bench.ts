// The way out of a shard without its sockets: wires that take everything and send nothing.

import type { ResolvedOptions } from '../../src/config/namespaces.ts'
import { createLocalChannel, createSubscriber, startDelivery } from '../../src/fanout/audience.ts'
import { BatchMemory } from '../../src/fanout/batch-memory.ts'
import { Flusher } from '../../src/fanout/flusher.ts'
import { frameOf } from '../../src/fanout/frame.ts'
import { Outbox, Scratch } from '../../src/fanout/outbox.ts'
import type { Wire } from '../../src/fanout/wire.ts'
import { slotCount } from '../../src/metrics/slots.ts'
import { perCall } from '../bench.ts'

const SUBSCRIBERS = 100
const PUBLICATIONS = 10
const LIMITS = { softBytes: 1 << 20, hardBytes: 1 << 20 }

const nullWire: Wire = {
  transport: 'websocket',
  send: () => 0,
  sendText: () => 0,
  waitingBytes: () => 0,
  address: () => '',
  end: () => {},
  destroy: () => {},
}
const owner = { onTooSlow: () => {}, onLagging: () => {}, onFlushed: () => {} }
const outboxes = Array.from({ length: SUBSCRIBERS }, () => new Outbox(nullWire, owner, LIMITS))

const flusher = new Flusher(new Float64Array(slotCount), { schedule: () => {} }, new BatchMemory())
const options = { namespace: '', historyEnabled: true, slow_client: 'catch_up' } as ResolvedOptions
const channel = createLocalChannel({ name: 'news:sport', options, route: 0, home: 0 })
for (const outbox of outboxes) startDelivery(createSubscriber(outbox, channel), 0, false)

const line = Buffer.from(`{"push":{"channel":"news:sport","pub":{"data":"${'x'.repeat(128)}","offset":1}}}`)
let offset = 0
const scratch = new Scratch()
const frame = frameOf(Buffer.concat([line, Buffer.from('\n')]), 1)

function publish(count: number): void {
  for (let round = 0; round < count; round++) flusher.publish(channel, line, ++offset, 1)
}

export default perCall(`flusher: rates are deliveries, to ${SUBSCRIBERS} subscribers a flush`, SUBSCRIBERS, {
  'one publication a flush': () => {
    publish(1)
    flusher.flush()
  },
  // Ten times as many deliveries in one call: the rate shown is that of flushed connections.
  [`${PUBLICATIONS} publications a flush, per connection`]: () => {
    publish(PUBLICATIONS)
    flusher.flush()
  },
  'one publication and a reply each, joined': () => {
    for (const outbox of outboxes) flusher.write(outbox, '{"id":7,"publish":{}}')
    publish(1)
    flusher.flush()
  },
  'join a reply and a publication': () => {
    let bytes = 0
    for (let op = 0; op < SUBSCRIBERS; op++)
      bytes += scratch.join('{"id":7,"publish":{}}', [frame]).lines.length
    return bytes
  },
})
