// A plain server that answers as the relay does to connect and subscribe, and when told so writes the same frames, made
// beforehand, to all its connections as fast as their sockets take them. Posts its port.

import { createHash } from 'node:crypto'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { nowUs } from '../../../load/generator/clock.ts'
import { deliveryLine, serverFrame } from '../deliveries.ts'

export type BlastJob = Readonly<{ connections: number; publications: number; joined: number }>

const WRITE_BYTES = 2 ** 18

const { publications, joined } = workerData as BlastJob
const bytes = allFrames()
const sockets: Socket[] = []

const server = createServer(socket => {
  socket.setNoDelay(true)
  socket.on('error', () => {})
  // The receivers mask with zeros: their commands can be read as they stand.
  socket.on('data', chunk => reply(socket, chunk.toString('latin1')))
})
server.listen(0, '127.0.0.1', () => parentPort!.postMessage((server.address() as AddressInfo).port))

parentPort!.once('message', () => {
  for (const socket of sockets) blast(socket, 0)
})

function reply(socket: Socket, received: string): void {
  const key = /Sec-WebSocket-Key: (\S+)/.exec(received)?.[1]
  if (key !== undefined) {
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
  }
  if (received.includes('"connect":')) socket.write(shortFrame('{"id":1,"connect":{}}'))
  if (received.includes('"subscribe":')) {
    socket.write(shortFrame('{"id":2,"subscribe":{}}'))
    sockets.push(socket)
  }
}

function shortFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)])
}

function allFrames(): Buffer {
  const dueUs = nowUs()
  const frames: Buffer[] = []
  for (let first = 1; first <= publications; first += joined) {
    const count = Math.min(joined, publications - first + 1)
    frames.push(
      serverFrame(Array.from({ length: count }, (_, index) => deliveryLine(0, first + index, dueUs, 0))),
    )
  }
  return Buffer.concat(frames)
}

function blast(socket: Socket, from: number): void {
  while (from < bytes.length) {
    const taken = socket.write(bytes.subarray(from, from + WRITE_BYTES))
    from += WRITE_BYTES
    if (taken) continue
    const next = from
    socket.once('drain', () => blast(socket, next))
    return
  }
}
