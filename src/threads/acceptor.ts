// The acceptor: takes connections on the client port and spreads them over the shards, round robin. Main thread.
// Not used with TLS, where each shard listens itself.

import { StartError } from '../base/errors.ts'
import { createApp, type Listening, listen, type UwsApp } from '../edge/uws.ts'

export class Acceptor {
  readonly #app: UwsApp
  readonly #listening: Listening

  constructor(address: string, port: number) {
    this.#app = createApp(undefined)
    // Only while no shard is there does a connection stay with us.
    this.#app.any('/*', response => {
      response.writeStatus('503 Service Unavailable').end('{"error":{"message":"no shard is ready"}}', true)
    })
    const listening = listen(this.#app, address, port, false)
    if (listening === undefined) throw new StartError(`http_server.port ${address}:${port} is taken`)
    this.#listening = listening
  }

  get port(): number {
    return this.#listening.port
  }

  add(descriptor: unknown): void {
    this.#app.addChildAppDescriptor(descriptor)
  }

  remove(descriptor: unknown): void {
    this.#app.removeChildAppDescriptor(descriptor)
  }

  stopAccepting(): void {
    this.#listening.close()
  }

  close(): void {
    this.#app.close()
  }
}
