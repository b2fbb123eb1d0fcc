// A server as the documentation of `ws` has it: for each publication a loop over the channel's sockets. A process of
// its own, which prints its port.

import { type WebSocket, WebSocketServer } from 'ws'
import { readCommands } from '../lines.ts'
import { printPort } from './port.ts'

const channels = new Map<string, Set<WebSocket>>()
const TEXT = { binary: false, compress: false, fin: true } as const

function subscribersOf(channel: string): Set<WebSocket> {
  const known = channels.get(channel)
  if (known !== undefined) return known
  const subscribers = new Set<WebSocket>()
  channels.set(channel, subscribers)
  return subscribers
}

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  // All clients come at once.
  backlog: 4096,
  perMessageDeflate: false,
  clientTracking: false,
  skipUTF8Validation: true,
})

server.on('connection', socket => {
  const subscribed: Set<WebSocket>[] = []
  socket.on('message', message => {
    for (const command of readCommands((message as Buffer).toString('utf8'))) {
      const subscribers = subscribersOf(command.channel)
      if (command.kind === 'subscribe') {
        subscribers.add(socket)
        subscribed.push(subscribers)
        socket.send(command.answer)
      } else {
        // Bytes, or the library would encode the text again for each socket. Frames made once and written past it to
        // the sockets beneath cost about a tenth less, but that is not its interface.
        const bytes = Buffer.from(command.message)
        for (const subscriber of subscribers) subscriber.send(bytes, TEXT)
      }
    }
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    for (const subscribers of subscribed) subscribers.delete(socket)
  })
})

server.on('listening', () => printPort((server.address() as { port: number }).port))
