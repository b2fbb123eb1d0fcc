// A connection with the handshake of its dialect: what receivers and publishing clients have in common.
// Any thread of the load. Invariant: what comes behind the answer to connect in the same block is not lost.

import type { Dialect } from './dialect.ts'
import { eachMessage } from './frames.ts'
import type { Endpoint } from './requests.ts'
import {
  CONNECT_TIMEOUT_MS,
  ConnectError,
  type Ending,
  type LoadSocket,
  openSocket,
  type SocketEvents,
  type SocketTarget,
} from './socket.ts'

/** The id of the connect command; others take theirs from 2. */
const CONNECT_ID = 1

/**
 * Connects and says who it is. Rejects with ConnectError, also when the server ends it first.
 * @param events as of openSocket(), from the answer on
 */
export async function openClient(
  endpoint: Endpoint,
  transport: 'ws' | 'tcp',
  dialect: Dialect,
  source: string | undefined,
  events: SocketEvents,
): Promise<LoadSocket> {
  const hello = dialect.connect?.(CONNECT_ID, endpoint.token)
  const target = targetOf(endpoint, transport, dialect, source)
  if (hello === undefined) return openSocket(target, events)
  const answer = Promise.withResolvers<void>()
  let live = false
  const refuse = (reason: string) => answer.reject(new ConnectError(reason))
  const socket = await openSocket(target, {
    ...events,
    onBlock(bytes, from, end, atUs) {
      if (live) return events.onBlock(bytes, from, end, atUs)
      eachMessage(bytes.subarray(from, end), dialect.lines, (message, messageEnd) => {
        if (live) return
        const result = dialect.connected(message)
        if (result.state === 'error') refuse(result.reason)
        if (result.state !== 'ok') return refuseEnded(dialect, message, refuse)
        live = true
        answer.resolve()
        const next = from + messageEnd + 1
        if (next < end) events.onBlock(bytes, next, end, atUs)
      })
    },
    onEnd(ending) {
      refuse(textOf(ending))
      if (live) events.onEnd(ending)
    },
  })
  socket.send(hello)
  const deadline = setTimeout(refuse, CONNECT_TIMEOUT_MS, 'no answer to connect')
  try {
    await answer.promise
    return socket
  } catch (error) {
    socket.cut()
    throw error
  } finally {
    clearTimeout(deadline)
  }
}

function refuseEnded(dialect: Dialect, message: Buffer, refuse: (reason: string) => void): void {
  const ended = dialect.ended?.(message)
  if (ended !== undefined) refuse(`code ${ended.code}`)
}

function textOf({ code, reason }: Ending): string {
  return reason === '' ? `code ${code}` : `code ${code}: ${reason}`
}

function targetOf(
  endpoint: Endpoint,
  transport: 'ws' | 'tcp',
  dialect: Dialect,
  source: string | undefined,
): SocketTarget {
  if (transport === 'tcp') {
    if (endpoint.tcp === undefined) throw new ConnectError('the target has no TCP address')
    return { transport, ...endpoint.tcp, source }
  }
  if (endpoint.websocket === undefined) throw new ConnectError('the target has no WebSocket address')
  const { subprotocol, opcode } = dialect
  return { transport, url: endpoint.websocket, opcode, source, ...(subprotocol && { subprotocol }) }
}
