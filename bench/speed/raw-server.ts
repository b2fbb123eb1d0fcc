// What the relay is compared with: uWebSockets.js alone, one thread, its own topics, no protocol to speak of.
// A process of its own; tells its parent the port.

import { App, us_socket_local_port, type us_listen_socket } from 'uWebSockets.js'
import { CHANNEL_LENGTH, RAW_SUBSCRIBE, SUBSCRIBED } from './messages.ts'
import { serveParent } from './child.ts'

const CHANNEL_END = 1 + CHANNEL_LENGTH
const app = App()

app.ws('/*', {
  compression: 0,
  idleTimeout: 0,
  maxPayloadLength: 1 << 20,
  maxBackpressure: 64 << 20,
  message(socket, message) {
    const text = Buffer.from(message).toString('utf8')
    // Several commands may be joined in a frame, as in the relay's protocol.
    for (const command of text.split('\n')) {
      const channel = command.slice(1, CHANNEL_END)
      if (command.startsWith(RAW_SUBSCRIBE)) {
        socket.subscribe(channel)
        socket.send(`{${SUBSCRIBED}{}}`, false, false)
      } else {
        app.publish(channel, command.slice(CHANNEL_END), false, false)
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
