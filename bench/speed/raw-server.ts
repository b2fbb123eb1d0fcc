// What the relay is compared with: uWebSockets.js alone, one thread, its own topics, no protocol to speak of.
// A process of its own; tells its parent the port.

import { App, type us_listen_socket, us_socket_local_port } from 'uWebSockets.js'
import { serveParent } from './child.ts'
import { CHANNEL_LENGTH, RAW_SUBSCRIBE, SUBSCRIBED } from './messages.ts'

const CHANNEL_END = 1 + CHANNEL_LENGTH
const app = App()
let due: string[] = []

// Not from within the message callback: there the library holds its one cork for the publisher's own socket, and as
// soon as more than 32 messages wait every one of them is sent by itself, at ten times the cost.
function publishDue(): void {
  const commands = due
  due = []
  for (const command of commands) {
    app.publish(command.slice(1, CHANNEL_END), command.slice(CHANNEL_END), false, false)
  }
}

app.ws('/*', {
  compression: 0,
  idleTimeout: 0,
  maxPayloadLength: 1 << 20,
  maxBackpressure: 64 << 20,
  message(socket, message) {
    const text = Buffer.from(message).toString('utf8')
    // Several commands may be joined in a frame, as in the relay's protocol.
    for (const command of text.split('\n')) {
      if (command.startsWith(RAW_SUBSCRIBE)) {
        socket.subscribe(command.slice(1, CHANNEL_END))
        socket.send(`{${SUBSCRIBED}{}}`, false, false)
      } else {
        if (due.length === 0) setImmediate(publishDue)
        due.push(command)
      }
    }
  },
})

serveParent(
  () =>
    new Promise(resolve => {
      app.listen('127.0.0.1', 0, (socket: us_listen_socket | false) =>
        resolve(socket === false ? { error: 'no port' } : { port: us_socket_local_port(socket) }),
      )
    }),
)
