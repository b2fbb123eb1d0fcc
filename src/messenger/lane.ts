// What is on its way to one channel of the relay. The messenger's thread. Invariant: what was published first goes first;
// after a refusal nothing more goes until what was refused is tried again.

import type { PublishOutcome } from './ports.ts'

/** Publications under way to a home at once: one turn's worth. A home answers them in their order. */
const UNDER_WAY_MAX = 256
/** Publications that wait: as many as the history window of a conversation's channel holds. */
const WAITING_MAX = 1_000
const RETRY_FIRST_MS = 20
const RETRY_MAX_MS = 1_000
/** A home that is away is replaced within seconds; clients learn by the next `rev` what they missed. */
const KEPT_MS_MAX = 60_000

export type LaneWorld = Readonly<{
  publish: (data: string, done: (outcome: PublishOutcome) => void) => void
  /** It waits no longer, whatever became of it. */
  onGone: (data: string) => void
  onDropped: (reason: unknown) => void
  /** Nothing waits and nothing is under way; the lane may be forgotten. */
  onEmpty: () => void
}>

type Publication = Readonly<{ data: string; bornMs: number }>

export class Lane {
  readonly #world: LaneWorld
  #waiting: Publication[] = []
  /** Sent, and to be sent again. In their order. */
  #refused: Publication[] = []
  #underWay = 0
  #holds = 0
  #retryMs = RETRY_FIRST_MS
  #retry: NodeJS.Timeout | undefined
  #isPumping = false
  #isClosed = false

  constructor(world: LaneWorld) {
    this.#world = world
  }

  publish(data: string): void {
    this.#waiting.push({ data, bornMs: performance.now() })
    if (this.#waiting.length > WAITING_MAX) this.dropOldest()
    this.#pump()
  }

  dropOldest(): void {
    const oldest = this.#waiting.shift()
    if (oldest !== undefined) this.#drop(oldest, 'too many publications wait')
  }

  /** Nothing goes out until what is returned was called. */
  hold(): () => void {
    this.#holds += 1
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#holds -= 1
      this.#pump()
    }
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retry)
  }

  #pump(): void {
    // An answer may come before `publish` returns.
    if (this.#isPumping || this.#isClosed) return
    this.#isPumping = true
    while (this.#mayGo()) {
      const publication = this.#waiting.shift()!
      this.#underWay += 1
      this.#world.publish(publication.data, outcome => this.#onOutcome(publication, outcome))
    }
    this.#isPumping = false
    const isEmpty = this.#waiting.length === 0 && this.#underWay === 0 && this.#holds === 0
    if (isEmpty && this.#refused.length === 0) this.#world.onEmpty()
  }

  #mayGo(): boolean {
    const isStopped = this.#holds > 0 || this.#refused.length > 0 || this.#retry !== undefined
    return !isStopped && this.#waiting.length > 0 && this.#underWay < UNDER_WAY_MAX
  }

  #onOutcome(publication: Publication, outcome: PublishOutcome): void {
    this.#underWay -= 1
    if (outcome.ok) {
      this.#retryMs = RETRY_FIRST_MS
      this.#world.onGone(publication.data)
    } else if (outcome.error.temporary && performance.now() - publication.bornMs < KEPT_MS_MAX) {
      this.#refused.push(publication)
    } else {
      this.#drop(publication, outcome.error.message)
    }
    if (this.#refused.length > 0 && this.#underWay === 0) this.#tryLater()
    this.#pump()
  }

  #tryLater(): void {
    if (this.#isClosed) return
    this.#waiting.unshift(...this.#refused.splice(0))
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#pump()
    }, this.#retryMs)
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2)
  }

  #drop(publication: Publication, reason: string): void {
    this.#world.onGone(publication.data)
    this.#world.onDropped(reason)
  }
}
