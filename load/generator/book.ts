// The publisher's book: sequence numbers of the channels, what became of each publication, and windows of due times.
// Runs on the publisher's thread. Invariant: every publication that was sent is acknowledged, refused, of unknown
// outcome or still unanswered, and is only one of these.

import { createHistogram } from '../ledger/histogram.ts'
import type { Book, Outcome, Publication } from './lane.ts'
import { plainText } from './plain-text.ts'
import { addToRanges, type Range } from './ranges.ts'
import type { ChannelEnd, PublisherEnds } from './requests.ts'

/** Distinct error texts; what else happens is counted together. */
const ERROR_TEXTS_MAX = 64
const OTHER_ERRORS = 'other errors'

type Channel = { last: number; exceptions: Range[] }

type Window = {
  readonly id: number
  readonly fromUs: number
  toUs: number
  sent: number
  readonly lateness: ReturnType<typeof createHistogram>
  readonly acknowledgement: ReturnType<typeof createHistogram>
}

export type PublisherBook = Book &
  Readonly<{
    totals: Readonly<{ sent: number; acknowledged: number; refused: number; unknown: number }>
    errors: Readonly<Record<string, number>>
    /** A publication that was due then left, or was taken by a lane that waits for the server, at `atUs`. */
    left: (dueUs: number, atUs: number) => void
    /** Opens a window, or sets the end of one. The end must lie ahead: what was due by now is already in it. */
    window: (id: number, fromUs: number, toUs: number | undefined) => void
    windows: () => PublisherEnds['windows']
    ends: () => PublisherEnds
  }>

export function createBook(): PublisherBook {
  const channels = new Map<number, Channel>()
  const windows: Window[] = []
  const totals = { sent: 0, acknowledged: 0, refused: 0, unknown: 0 }
  const errors: Record<string, number> = Object.create(null)
  let errorTexts = 0

  const note = (said: string) => {
    let text = plainText(said)
    if (errors[text] === undefined && ++errorTexts > ERROR_TEXTS_MAX) text = OTHER_ERRORS
    errors[text] = (errors[text] ?? 0) + 1
  }
  const windowsOf = () => windows.map(toEnd)
  return {
    totals,
    errors,
    note,
    send(channel, dueUs) {
      const sequence = nextSequence(channels, channel)
      totals.sent++
      for (const window of windows) if (isIn(window, dueUs)) window.sent++
      return { channel, sequence, dueUs }
    },
    settle(publication: Publication, outcome: Outcome, atUs: number) {
      totals[outcome.kind]++
      if (outcome.kind === 'acknowledged') {
        const us = atUs - publication.dueUs
        for (const window of windows) if (isIn(window, publication.dueUs)) window.acknowledgement.record(us)
        return
      }
      note(outcome.reason)
      const { exceptions } = channels.get(publication.channel)!
      if (!addToRanges(exceptions, publication.sequence)) note('exceptions of a channel are kept roughly')
    },
    left(dueUs, atUs) {
      for (const window of windows) if (isIn(window, dueUs)) window.lateness.record(atUs - dueUs)
    },
    window(id, fromUs, toUs = Number.POSITIVE_INFINITY) {
      const open = windows.find(window => window.id === id)
      if (open !== undefined) open.toUs = toUs
      else windows.push(createWindow(id, fromUs, toUs))
    },
    windows: windowsOf,
    ends: () => ({ channels: [...channels].map(toChannelEnd), windows: windowsOf() }),
  }
}

function nextSequence(channels: Map<number, Channel>, channel: number): number {
  const known = channels.get(channel)
  if (known !== undefined) return ++known.last
  channels.set(channel, { last: 1, exceptions: [] })
  return 1
}

function createWindow(id: number, fromUs: number, toUs: number): Window {
  return { id, fromUs, toUs, sent: 0, lateness: createHistogram(), acknowledgement: createHistogram() }
}

function isIn({ fromUs, toUs }: Window, dueUs: number): boolean {
  return dueUs >= fromUs && dueUs < toUs
}

function toChannelEnd([channel, { last, exceptions }]: [number, Channel]): ChannelEnd {
  return { channel, last, exceptions }
}

function toEnd({ id, sent, lateness, acknowledgement }: Window): PublisherEnds['windows'][number] {
  return { id, sent, lateness: lateness.toBytes(), acknowledgement: acknowledgement.toBytes() }
}
