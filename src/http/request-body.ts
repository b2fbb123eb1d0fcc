// The body of a request as a stream of the web platform. Runs on a shard.
// Invariant: what nobody reads stays with the client: beyond the high-water mark its socket is paused.

import type { HttpResponse } from 'uWebSockets.js'

/** What waits for a reader; what the library has read at once (up to 512 KiB) comes on top. */
const WAITING_BYTES_MAX = 64 * 1024

export class RequestBody {
  readonly stream: ReadableStream<Uint8Array>
  readonly #response: HttpResponse
  #controller!: ReadableStreamDefaultController<Uint8Array>
  #isPaused = false
  /** It has come wholly, nobody wants the rest, or the connection is gone. */
  #isOver = false

  constructor(response: HttpResponse) {
    this.#response = response
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: controller => {
          this.#controller = controller
        },
        pull: () => this.#resume(),
        cancel: () => this.release(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES_MAX }),
    )
    response.onData((chunk, isLast) => this.#take(chunk, isLast))
  }

  /** What is still to come is thrown away. Before the answer is complete, for then the response is gone. */
  release(): void {
    if (this.#isOver) return
    this.#resume()
    this.fail(new Error('nobody wants the rest of the body'))
  }

  /** Without touching the response. */
  fail(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#controller.error(error)
  }

  #resume(): void {
    if (this.#isOver || !this.#isPaused) return
    this.#isPaused = false
    this.#response.resume()
  }

  #take(chunk: ArrayBuffer, isLast: boolean): void {
    if (this.#isOver) return
    // Copied here: the library takes its memory back when this returns.
    if (chunk.byteLength > 0) this.#controller.enqueue(new Uint8Array(chunk.slice(0)))
    if (isLast) {
      // A paused socket would not see that its client leaves.
      this.#resume()
      this.#isOver = true
      this.#controller.close()
    } else if (this.#controller.desiredSize! <= 0 && !this.#isPaused) {
      this.#isPaused = true
      this.#response.pause()
    }
  }
}
