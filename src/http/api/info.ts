// info: the relay in numbers. Runs on a shard; reads the counters of all shards from shared memory.

import { wallMs } from '../../base/clock.ts'
import { slots } from '../../metrics/slots.ts'
import { ApiBody } from './body.ts'
import type { ApiContext, ApiMethod } from './context.ts'

export const info: ApiMethod = (context, text, answered) => {
  new ApiBody(text, [])
  const node = {
    uid: context.nodeId,
    name: 'fanwire',
    version: context.version,
    num_clients: sum(context, row => row[slots.sessions]!),
    num_users: context.presence.used(),
    num_channels: sum(context, row => row[slots.channels]!),
    num_subs: sum(context, row => row[slots.subscriptions]!),
    uptime: Math.floor((wallMs() - context.startedMs) / 1000),
  }
  answered({ ok: true, value: JSON.stringify({ nodes: [node] }) })
}

function sum(context: ApiContext, read: (row: Float64Array) => number): number {
  return context.rows.reduce((total, row) => total + read(row), 0)
}
