// A client that costs little: one socket, lines of JSON in and out, no state of the protocol. Test process.

import { connect, type Socket } from 'node:net'
import { WebSocket } from 'ws'

export type Ports = Readonly<{ http: number; tcp: number }>
export type Transport = 'websocket' | 'tcp'

export type Listener = Readonly<{
  onOpen: () => void
  onMessage: (message: any) => void
  /** Once, for whatever reason; the code that the relay gave, 0 if it gave none. */
  onClose: (code: number) => void
}>

export type LineClient = Readonly<{
  send: (commands: readonly object[]) => void
  pause: () => void
  resume: () => void
  /** Without a goodbye, as when a network is lost. */
  destroy: () => void
}>

export function openLineClient(transport: Transport, ports: Ports, listener: Listener): LineClient {
  return transport === 'tcp' ? openTcp(ports.tcp, listener) : openWebSocket(ports.http, listener)
}

/** After a goodbye WebSocket closes with the code itself; 1005 and 1006 mean that there was none. */
const FIRST_CODE_OF_OURS = 3000

function openWebSocket(port: number, { onOpen, onMessage, onClose }: Listener): LineClient {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/connection/websocket`, { perMessageDeflate: false })
  socket.on('open', onOpen)
  socket.on('message', data => {
    for (const line of data.toString().split('\n')) onMessage(JSON.parse(line))
  })
  socket.on('error', () => {})
  socket.on('close', code => onClose(code >= FIRST_CODE_OF_OURS ? code : 0))
  return {
    send: commands => {
      if (socket.readyState === WebSocket.OPEN)
        socket.send(commands.map(one => JSON.stringify(one)).join('\n'))
    },
    pause: () => {
      if (socket.readyState === WebSocket.OPEN) socket.pause()
    },
    resume: () => socket.resume(),
    destroy: () => socket.terminate(),
  }
}

function openTcp(port: number, { onOpen, onMessage, onClose }: Listener): LineClient {
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let held = ''
  let code = 0
  const onLine = (line: string) => {
    const message = JSON.parse(line)
    code = message.push?.disconnect?.code ?? code
    onMessage(message)
  }
  socket.setEncoding('utf8')
  socket.on('connect', onOpen)
  socket.on('data', (chunk: string) => {
    const lines = chunk.split('\n')
    lines[0] = held + lines[0]
    held = lines.pop()!
    for (const line of lines) onLine(line)
  })
  socket.on('error', () => {})
  socket.on('close', () => onClose(code))
  return {
    send: commands => socket.write(commands.map(one => `${JSON.stringify(one)}\n`).join('')),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    destroy: () => socket.destroy(),
  }
}
