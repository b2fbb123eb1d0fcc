// What the server API answers to publications, read as their outcomes. Runs on the publisher's thread. Pure.
// Invariant: as many outcomes as publications, in their order; what can't be read is of unknown outcome.

import type { Outcome } from './lane.ts'

export type Answer = Readonly<{ status: number; text: string }>

type Problem = Readonly<{ code: number; message: string }>
type Reply = Readonly<{ error?: Problem | null }>

const STATUS_OK = 200
/** From here on a server or a proxy failed with it, and may have passed it on. */
const STATUS_FAILED = 500
/** "internal server error": the relay's way to say that it may have been carried out or not. */
const CODE_INTERNAL = 100
/** What is shown of an answer that is no JSON. */
const TEXT_SHOWN_MAX = 80

const ACKNOWLEDGED: Outcome = { kind: 'acknowledged' }
const UNREADABLE: Outcome = { kind: 'unknown', reason: 'unreadable answer' }

/** @param count publications in the request; more than one went as a batch */
export function outcomesOf({ status, text }: Answer, count: number): readonly Outcome[] {
  const body = parse(text)
  if (status !== STATUS_OK) {
    const kind = status >= STATUS_FAILED ? 'unknown' : 'refused'
    return Array<Outcome>(count).fill({ kind, reason: problemOf({ status, text }) })
  }
  const isOne = count === 1 || (body?.error ?? null) !== null
  const replies = isOne ? Array<Reply | undefined>(count).fill(body) : body?.replies
  return Array.from({ length: count }, (_, index) => outcomeOf(replies?.[index]))
}

/** In words, what an answer that is no success says. */
export function problemOf({ status, text }: Answer): string {
  const problem = parse(text)?.error ?? null
  if (problem !== null) return `HTTP ${status}: ${problem.code} ${problem.message}`
  return `HTTP ${status}: ${text.slice(0, TEXT_SHOWN_MAX)}`
}

/** As JSON has it: whatever the server says there, it is no reason to fail. */
function outcomeOf(reply: Reply | null | undefined): Outcome {
  if (typeof reply !== 'object' || reply === null || Array.isArray(reply)) return UNREADABLE
  if (reply.error === undefined || reply.error === null) return ACKNOWLEDGED
  const { code, message } = reply.error
  return { kind: code === CODE_INTERNAL ? 'unknown' : 'refused', reason: `${code} ${message}` }
}

function parse(text: string): (Reply & Readonly<{ replies?: readonly (Reply | null)[] }>) | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
