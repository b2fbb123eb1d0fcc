// A bare uWebSockets.js server: one thread, the library's own topics, nothing else. A process of its own, which
// prints its port.

import { App, type us_listen_socket, us_socket_local_port } from 'uWebSockets.js'
import { type Command, readCommands } from '../lines.ts'
import { printPort } from './port.ts'

const app = App()
let due: Extract<Command, { kind: 'publish' }>[] = []

// Not from within the message callback: there the library holds its one cork for the publisher's own socket, and as
// soon as more than 32 messages wait every one of them is sent by itself, at ten times the cost.
function publishDue(): void {
  const publications = due
  due = []
  for (const { channel, message } of publications) app.publish(channel, message, false, false)
}

app.ws('/*', {
  compression: 0,
  idleTimeout: 0,
  maxPayloadLength: 1 << 20,
  maxBackpressure: 64 << 20,
  message(socket, message) {
    for (const command of readCommands(Buffer.from(message).toString('utf8'))) {
      if (command.kind === 'subscribe') {
        socket.subscribe(command.channel)
        socket.send(command.answer, false, false)
      } else {
        if (due.length === 0) setImmediate(publishDue)
        due.push(command)
      }
    }
  },
})

app.listen('127.0.0.1', 0, (socket: us_listen_socket | false) => {
  if (socket === false) throw new Error('no port')
  printPort(us_socket_local_port(socket))
})
