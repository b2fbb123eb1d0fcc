// A Socket.IO server with a room for each channel, tuned as its documentation tells: WebSocket only, no compression,
// the upgrade requests let go. A process of its own, which prints its port.

import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { printPort } from './port.ts'

const http = createServer()
const io = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
})

// From the documentation's page on memory usage: else each connection keeps its first HTTP request.
io.engine.on('connection', (socket: { request: unknown }) => {
  socket.request = null
})

io.on('connection', socket => {
  socket.on('subscribe', (channel: string, answer: () => void) => {
    socket.join(channel)
    answer()
  })
  socket.on('publish', (channel: string, data: string) => {
    io.to(channel).emit('message', channel, data)
  })
})

// All clients come at once.
http.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  printPort((http.address() as { port: number }).port)
})
