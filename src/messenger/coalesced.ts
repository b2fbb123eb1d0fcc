// Effects of which only the newest counts: marks of how far members have read, and who is typing. The messenger's thread.
// Invariant: however many calls there are, a conversation gets one publication of marks in MARKS_INTERVAL_MS, and in
// TYPING_INTERVAL_MS one per user of typing, and one that this has ended.

import type { Effect } from './effects.ts'
import type { ConversationEvent } from './model.ts'

const MARKS_INTERVAL_MS = 500
const TYPING_INTERVAL_MS = 2_000
/** Marks that wait, and typing users that are remembered; past it the marks go at once, the oldest is forgotten. */
const ENTRIES_MAX = 10_000

type Typing = Extract<ConversationEvent, { type: 'typing' }>
type Shown = Readonly<{ atMs: number; typing: boolean }>
type Mark = Extract<ConversationEvent, { type: 'marks' }>['marks'][number]

export class Coalesced {
  readonly #nowMs: () => number
  readonly #carryOut: (effect: Effect) => void
  /** Conversation to user to the newest mark. */
  readonly #marks = new Map<number, Map<number, Mark>>()
  /** Marks of users for their own devices, the newest of each conversation. */
  readonly #own = new Map<string, Effect>()
  /** How a user was last shown, the oldest first. */
  readonly #typing = new Map<string, Shown>()
  #timer: NodeJS.Timeout | undefined

  constructor(nowMs: () => number, carryOut: (effect: Effect) => void) {
    this.#nowMs = nowMs
    this.#carryOut = carryOut
  }

  /** False: the effect is none of these, or is to go out at once. */
  takes(effect: Effect): boolean {
    if (effect.kind === 'tell' && effect.event.type === 'mark') {
      this.#own.set(`${effect.user}:${effect.event.conversation}`, effect)
      return this.#later()
    }
    if (effect.kind !== 'publish') return false
    if (effect.event.type === 'typing') return !this.#mayShow(effect.conversation, effect.event)
    if (effect.event.type !== 'marks') return false
    let marks = this.#marks.get(effect.conversation)
    if (marks === undefined) {
      marks = new Map()
      this.#marks.set(effect.conversation, marks)
    }
    for (const mark of effect.event.marks) marks.set(mark.user, mark)
    return this.#later()
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#flush()
  }

  #later(): true {
    if (this.#marks.size + this.#own.size >= ENTRIES_MAX) this.#flush()
    else this.#timer ??= setTimeout(() => this.#flush(), MARKS_INTERVAL_MS)
    return true
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const own = [...this.#own.values()]
    const marks = [...this.#marks]
    this.#own.clear()
    this.#marks.clear()
    for (const effect of own) this.#carryOut(effect)
    for (const [conversation, ofUsers] of marks) {
      this.#carryOut({
        kind: 'publish',
        conversation,
        event: { type: 'marks', marks: [...ofUsers.values()] },
      })
    }
  }

  #mayShow(conversation: number, { user, typing }: Typing): boolean {
    const key = `${conversation}:${user}`
    const nowMs = this.#nowMs()
    const shown = this.#typing.get(key)
    const isSoon = shown !== undefined && nowMs - shown.atMs < TYPING_INTERVAL_MS
    // Who was shown as typing is not to stay so.
    const isEnd = shown?.typing === true && !typing
    if (isSoon && !isEnd) return false
    this.#typing.delete(key)
    this.#typing.set(key, { atMs: isSoon ? shown.atMs : nowMs, typing })
    const [oldest] = this.#typing.keys()
    if (this.#typing.size > ENTRIES_MAX && oldest !== undefined) this.#typing.delete(oldest)
    return true
  }
}
