// The WebSocket library as we use it: apps, listening, and the acceptor's children. Main thread and shards.
// Types that the package's own declarations lack are added here.

import {
  App,
  type HttpRequest,
  type HttpResponse,
  SSLApp,
  type TemplatedApp,
  us_listen_socket_close,
  us_socket_local_port,
} from 'uWebSockets.js'
import { addressBehind, plainAddress, type Trusted } from '../base/address.ts'

export type UwsApp = TemplatedApp & {
  /** Names this app to the acceptor of another thread. */
  getDescriptor(): unknown
  addChildAppDescriptor(descriptor: unknown): void
  removeChildAppDescriptor(descriptor: unknown): void
}

export type Tls = Readonly<{ cert_pem: string; key_pem: string }>

export function createApp(tls: Tls | undefined): UwsApp {
  if (tls === undefined) return App() as UwsApp
  return SSLApp({ cert_file_name: tls.cert_pem, key_file_name: tls.key_pem }) as UwsApp
}

/** The client's address, by its proxies where they are trusted. Only while the request is: within its callback. */
export function addressOf(response: HttpResponse, request: HttpRequest, trusted: Trusted): string {
  const peer = textOf(response.getRemoteAddressAsText())
  if (trusted.isEmpty) return plainAddress(peer)
  // A proxy may add a header of its own behind one that the client sent, and getHeader knows only the first.
  const forwardedFor: string[] = []
  request.forEach((name, value) => {
    if (name === 'x-forwarded-for') forwardedFor.push(value)
  })
  return addressBehind(peer, forwardedFor.join(','), trusted)
}

/** The library gives addresses as bytes of text. */
export function textOf(address: ArrayBuffer): string {
  return Buffer.from(address).toString('latin1')
}

/** LIBUS_LISTEN_EXCLUSIVE_PORT, which the package exports but does not declare. */
const EXCLUSIVE_PORT = 1

export type Listening = Readonly<{ port: number; close: () => void }>

/**
 * Undefined: the port can't be had. `shared`: other threads of ours listen on it too (SO_REUSEPORT), as with TLS;
 * otherwise a second process on the same port is refused.
 */
export function listen(app: UwsApp, address: string, port: number, shared: boolean): Listening | undefined {
  let listening: Listening | undefined
  const onListening = (socket: unknown) => {
    if (socket === false) return
    listening = {
      port: us_socket_local_port(socket as Parameters<typeof us_socket_local_port>[0]),
      close: () => us_listen_socket_close(socket as Parameters<typeof us_listen_socket_close>[0]),
    }
  }
  // The library takes host, port and options together, which its declarations do not say.
  const listenOn = app.listen.bind(app) as unknown as (
    host: string,
    port: number,
    options: number,
    done: typeof onListening,
  ) => void
  listenOn(address, port, shared ? 0 : EXCLUSIVE_PORT, onListening)
  return listening
}
