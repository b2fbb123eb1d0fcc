// The WebSocket edge: frames of text in, frames of text out. Runs on a shard.
// Invariants: no callback of the library lets an error out; a socket is never touched after it was closed.

import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from 'uWebSockets.js'
import { plainAddress, type Trusted, trust } from '../base/address.ts'
import { monotonicMs } from '../base/clock.ts'
import { guard } from '../base/guard.ts'
import { COMMANDS_PER_FRAME_MAX, WEBSOCKET_PAYLOAD_BYTES_MAX } from '../config/limits.ts'
import type { Frame } from '../fanout/frame.ts'
import { REFUSED, type Wire } from '../fanout/wire.ts'
import { slots } from '../metrics/slots.ts'
import { because, cutToBytes, type Disconnect, disconnects } from '../protocol/codes.ts'
import type { SessionEnv } from '../session/port.ts'
import { Session } from '../session/session.ts'
import type { Admission, RefusalReason } from './admission.ts'
import { addressOf, textOf, type UwsApp } from './uws.ts'

type Attached = {
  wire: WebSocketWire | undefined
  session: Session | undefined
  /** What came with the request, for the session to begin with. */
  address: string
  device: string
}
type Socket = WebSocket<Attached>

const WEBSOCKET_PATH = '/connection/websocket'

/** The one subprotocol that is chosen if a client offers it; most offer none. */
const JSON_PROTOCOL = 'centrifuge-json'

/** What browsers say of themselves has 100 to 200 bytes. */
const DEVICE_BYTES_MAX = 256

/** RFC 6455: the message is too big; the official clients do not come back with it. */
const MESSAGE_TOO_BIG: Disconnect = { code: 1009, reason: 'message too big' }

export function attachWebSocket(app: UwsApp, env: SessionEnv, admission: Admission): void {
  const onError = (error: unknown, socket: Socket) => {
    env.onError('websocket', error)
    env.row[slots.guardErrors.websocket]! += 1
    const { session } = socket.getUserData()
    session?.disconnect(disconnects.serverError)
  }
  const trusted = trust(env.config.http_server.trusted_proxies)
  app.ws<Attached>(WEBSOCKET_PATH, {
    compression: 0,
    maxPayloadLength: WEBSOCKET_PAYLOAD_BYTES_MAX,
    // Our outbox decides long before; this is what the library may hold at the very most.
    maxBackpressure: env.outboxLimits.hardBytes + BACKPRESSURE_RESERVE_BYTES,
    closeOnBackpressureLimit: false,
    idleTimeout: 0,
    sendPingsAutomatically: false,
    upgrade: (response, request, context) => upgrade(response, request, context, env, admission, trusted),
    open: guard((socket: Socket) => open(socket, env), onError),
    message: guard(
      (socket: Socket, message: ArrayBuffer, isBinary: boolean) => onMessage(socket, message, isBinary, env),
      onError,
    ),
    ping: guard((socket: Socket) => socket.getUserData().session?.receiveControl(), onError),
    pong: guard((socket: Socket) => socket.getUserData().session?.receiveControl(), onError),
    drain: guard((socket: Socket) => socket.getUserData().session?.onDrained(), onError),
    close: guard(
      (socket: Socket) => onClose(socket, env),
      error => env.onError('websocket', error),
    ),
  })
}

/** A flush is handed over whole, so the hard limit may be passed by one of them before we look. */
const BACKPRESSURE_RESERVE_BYTES = 1 << 20

function upgrade(
  response: HttpResponse,
  request: HttpRequest,
  context: us_socket_context_t,
  env: SessionEnv,
  admission: Admission,
  trusted: Trusted,
): void {
  try {
    const refusal = admission.refusal(request.getHeader('origin'), request.getHeader('host'), monotonicMs())
    if (refusal !== undefined) return refuse(response, STATUS_OF[refusal], refusal)
    const offered = request.getHeader('sec-websocket-protocol').split(',')
    const protocols = offered.map(name => name.trim())
    if (protocols.includes('centrifuge-protobuf') && !protocols.includes(JSON_PROTOCOL)) {
      return refuse(response, '400 Bad Request', 'only the JSON protocol is spoken here')
    }
    const protocol = protocols.includes(JSON_PROTOCOL) ? JSON_PROTOCOL : ''
    const address = trusted.isEmpty ? '' : addressOf(response, request, trusted)
    // Logins are listed with it; without accounts nobody asks.
    const agent = env.messenger === undefined ? '' : request.getHeader('user-agent')
    const device = cutToBytes(agent, DEVICE_BYTES_MAX)
    const attached: Attached = { wire: undefined, session: undefined, address, device }
    const key = request.getHeader('sec-websocket-key')
    const extensions = request.getHeader('sec-websocket-extensions')
    response.upgrade(attached, key, protocol, extensions, context)
  } catch (error) {
    env.onError('websocket', error)
    response.close()
  }
}

const STATUS_OF: Record<RefusalReason, string> = {
  origin: '403 Forbidden',
  connection_limit: '503 Service Unavailable',
  connection_rate: '429 Too Many Requests',
  draining: '503 Service Unavailable',
}

function refuse(response: HttpResponse, status: string, why: string): void {
  response.cork(() => {
    response.writeStatus(status).writeHeader('content-type', 'application/json')
    response.end(`{"error":{"message":${JSON.stringify(why)}}}`, true)
  })
}

function open(socket: Socket, env: SessionEnv): void {
  const attached = socket.getUserData()
  const { address, device } = attached
  const wire = new WebSocketWire(socket, address)
  attached.wire = wire
  attached.device = ''
  env.row[slots.connections.websocket]! += 1
  attached.session = new Session(env, wire, device)
}

function onMessage(socket: Socket, message: ArrayBuffer, isBinary: boolean, env: SessionEnv): void {
  const { session } = socket.getUserData()
  if (session === undefined) return
  env.row[slots.receivedBytes.websocket]! += message.byteLength
  if (isBinary) {
    session.disconnect(because(disconnects.badRequest, 'a binary frame; only JSON text is spoken here'))
    return
  }
  if (message.byteLength > env.config.client.message_size_limit) {
    session.disconnect(MESSAGE_TOO_BIG)
    return
  }
  // Copied here: the library takes its memory back when this returns.
  const text = Buffer.from(message).toString('utf8')
  if (!text.includes('\n')) {
    if (text.trim() !== '') session.receive(text)
    return
  }
  const lines = text.split('\n')
  if (lines.length > COMMANDS_PER_FRAME_MAX) {
    session.disconnect(
      because(disconnects.badRequest, `more than ${COMMANDS_PER_FRAME_MAX} commands in a frame`),
    )
    return
  }
  for (const line of lines) {
    if (line.trim() !== '' && !session.receive(line)) return
  }
}

function onClose(socket: Socket, env: SessionEnv): void {
  const { wire, session } = socket.getUserData()
  if (wire === undefined) return
  wire.closed = true
  env.row[slots.connections.websocket]! -= 1
  session?.closed()
}

class WebSocketWire implements Wire {
  readonly transport = 'websocket'
  closed = false
  readonly #socket: Socket
  /** What a trusted proxy said. '': the socket is asked when it is needed, so that not each has to carry a text. */
  readonly #address: string

  constructor(socket: Socket, address: string) {
    this.#socket = socket
    this.#address = address
  }

  send(frame: Frame): number {
    return this.#send(frame.message)
  }

  sendText(text: string): number {
    return this.#send(text)
  }

  #send(message: string | Uint8Array): number {
    if (this.closed) return REFUSED
    switch (this.#socket.send(message, false, false)) {
      case SENT:
        return 0
      case DROPPED:
        return REFUSED
      default:
        return this.#socket.getBufferedAmount()
    }
  }

  waitingBytes(): number {
    return this.closed ? 0 : this.#socket.getBufferedAmount()
  }

  address(): string {
    if (this.#address !== '' || this.closed) return this.#address
    return plainAddress(textOf(this.#socket.getRemoteAddressAsText()))
  }

  end(disconnect: Disconnect): void {
    // The library calls our close handler from within.
    if (!this.closed) this.#socket.end(disconnect.code, disconnect.reason)
  }

  destroy(): void {
    if (!this.closed) this.#socket.close()
  }
}

// What the library's send answers; everything else means that bytes wait.
const SENT = 1
const DROPPED = 2
