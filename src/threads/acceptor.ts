// The acceptor: takes connections on the client port and spreads them over the shards, round robin. Main thread.
// Not used with TLS, where each shard listens itself.

import { StartError } from '../base/errors.ts'
import { createApp, type Listening, listen, type UwsApp } from '../edge/uws.ts'
import { errors } from '../protocol/codes.ts'
import { errorJson } from '../protocol/replies.ts'

export class Acceptor {
  readonly #app: UwsApp = createApp(undefined)
  #listening: Listening | undefined

  constructor() {
    // Only while no shard is there does a connection stay with us.
    this.#app.any('/*', response => {
      response.writeStatus('503 Service Unavailable').writeHeader('content-type', 'application/json')
      response.end(`{"error":${errorJson(errors.internal)}}`, true)
    })
  }

  /** Not before the shards are up: who is refused tries elsewhere or again, who gets a 503 may take it for an answer. */
  listen(address: string, port: number): void {
    this.#listening = listen(this.#app, address, port, false)
    if (this.#listening === undefined)
      throw new StartError(`http_server.port ${address}:${port} can't be listened on`)
  }

  add(descriptor: unknown): void {
    this.#app.addChildAppDescriptor(descriptor)
  }

  remove(descriptor: unknown): void {
    this.#app.removeChildAppDescriptor(descriptor)
  }

  stopAccepting(): void {
    this.#listening?.close()
  }

  close(): void {
    this.#app.close()
  }
}
