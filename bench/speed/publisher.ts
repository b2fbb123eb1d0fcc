// The publishers, in a process of their own: send at an even rate over WebSocket connections until told to stop.
// What is due in the same millisecond on the same connection is joined in one frame.

import { serveParent } from './child.ts'
import { Client, type Endpoint } from './client.ts'
import {
  CONNECTED,
  channelName,
  connectCommand,
  deliveredLine,
  publishCommand,
  type Target,
} from './messages.ts'

export type PublishRequest = Readonly<{
  kind: 'publish'
  target: Target
  endpoint: Endpoint
  publishers: number
  /** Publication n goes to channel n modulo this, from publisher n modulo their number. */
  channels: number
  perSecond: number
}>

const TICK_MS = 1
/** A publisher that was held up sends what it missed, but in frames that every server takes. */
const LINES_PER_FRAME_MAX = 100

const clients: Client[] = []
let timer: NodeJS.Timeout | undefined
let sent = 0

async function start(request: PublishRequest): Promise<void> {
  const { target, endpoint, publishers, channels, perSecond } = request
  const connect = connectCommand(target)
  for (let i = 0; i < publishers; i++) {
    const client = await Client.open(endpoint, () => {})
    if (connect !== undefined) await client.ask(connect, CONNECTED)
    clients.push(client)
  }
  const names = Array.from({ length: channels }, (_, index) => channelName(index))
  const lines = names.map(deliveredLine)
  const startMs = performance.now()
  timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1000)
    const frames: string[][] = []
    while (sent < due) {
      const channel = sent % channels
      const command = publishCommand(target, ++sent, names[channel]!, lines[channel]!)
      const frame = frames[sent % publishers]
      if (frame === undefined) frames[sent % publishers] = [command]
      else frame.push(command)
    }
    frames.forEach((commands, publisher) => {
      for (let from = 0; from < commands.length; from += LINES_PER_FRAME_MAX) {
        clients[publisher]!.send(commands.slice(from, from + LINES_PER_FRAME_MAX).join('\n'))
      }
    })
  }, TICK_MS)
}

function stop(): { sent: number } {
  clearInterval(timer)
  return { sent }
}

serveParent(request => (request.kind === 'publish' ? start(request) : stop()))
