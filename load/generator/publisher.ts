// The publisher: hands publications to its lanes when they are due, and keeps the book of what became of them.
// Runs on a worker thread of its own. Invariant: a channel belongs to one lane, so that its order is known; what was
// due is sent late rather than not at all, and marked with the time at which it was due.

import { setTimeout as wait } from 'node:timers/promises'
import { ApiLane } from './api-lane.ts'
import { createBook, type PublisherBook } from './book.ts'
import { ClientLane } from './client-lane.ts'
import { nowUs } from './clock.ts'
import type { Dialect } from './dialect.ts'
import type { Lane, Publication } from './lane.ts'
import { channelOf, dueUsOf } from './pace.ts'
import { createPacer, type Hand } from './pacer.ts'
import { payloadText } from './payload.ts'
import type { PublisherData, PublisherEnds, PublisherProgress, PublisherRequest } from './requests.ts'
import { measureUse } from './self.ts'

/** Publications that wait, over all lanes, for connections or answers: 16 MiB of places, a minute at 17,000/s. */
const WAITING_MAX = 1_048_576
/** Connections that are made at the same time: a server's backlog takes them. */
const OPENING_MAX = 64
/** Longer than the lanes wait for an answer. */
const STOP_TIMEOUT_MS = 12_000
/** How often the end of that is looked for. */
const STOP_POLL_MS = 5

/** Each answer is what generator/requests.ts says of its request. */
export type Publisher = Readonly<{ answer: (request: PublisherRequest) => unknown }>

export async function createPublisher(data: PublisherData): Promise<Publisher> {
  const book = createBook()
  const lanes = await createLanes(data, book)
  const pacer = createPacer(handTo(lanes, book))
  const usedSinceLast = measureUse()
  let sentBefore = 0

  const progress = (): PublisherProgress => {
    const { sent, acknowledged, refused, unknown } = book.totals
    const sinceLast = sent - sentBefore
    sentBefore = sent
    return {
      sent: sinceLast,
      sentTotal: sent,
      acknowledgedTotal: acknowledged,
      refusedTotal: refused,
      unknownTotal: unknown,
      waiting: sumOf(lanes, lane => lane.waiting()),
      errors: { ...book.errors },
      use: usedSinceLast(),
    }
  }
  const answer = (request: PublisherRequest): unknown => {
    switch (request.kind) {
      case 'open':
        return openAll(lanes)
      case 'start':
        return pacer.start(request)
      case 'stop':
        return pacer.stop().then(() => settleAll(lanes, book))
      case 'window':
        return book.window(request.id, request.fromUs, request.toUs)
      case 'progress':
        return progress()
      case 'ends':
        return book.ends() satisfies PublisherEnds
      case 'close':
        pacer.close()
        for (const lane of lanes) lane.close()
        return
      default:
        return request satisfies never
    }
  }
  return { answer }
}

async function createLanes(data: PublisherData, book: PublisherBook): Promise<readonly Lane[]> {
  const { endpoint, size, publishers, by, transport } = data
  const { api, apiKey, sources } = endpoint
  const options = (index: number) => ({
    source: sources[index % sources.length],
    waitingMax: Math.floor(WAITING_MAX / publishers),
    nameOf: (channel: number) => `${endpoint.channelPrefix}${channel}`,
    dataOf: (one: Publication) => payloadText(one.channel, one.sequence, one.dueUs, size),
  })
  const indexes = Array.from({ length: publishers }, (_, index) => index)
  if (by === 'client') {
    const { dialect } = (await import(endpoint.dialect)) as { dialect: Dialect }
    return indexes.map(index => new ClientLane({ ...options(index), endpoint, dialect, transport }, book))
  }
  if (api === undefined) throw new Error('the target has no server API to publish by')
  return indexes.map(index => new ApiLane({ ...options(index), api, apiKey }, book))
}

/** Rejects with the first reason. */
async function openAll(lanes: readonly Lane[]): Promise<void> {
  let next = 0
  const openNext = async () => {
    while (next < lanes.length) await lanes[next++]!.open()
  }
  await Promise.all(Array.from({ length: OPENING_MAX }, openNext))
}

function handTo(lanes: readonly Lane[], book: PublisherBook): Hand {
  return (stretch, from, to) => {
    for (let n = from; n < to; n++) {
      const channel = channelOf(stretch, n)
      const lane = lanes[channel % lanes.length]!
      if (!lane.take(channel, dueUsOf(stretch, n))) book.note('not sent: too many publications wait')
    }
    for (const lane of lanes) lane.flush()
    // Lateness is what this thread is to blame for. A lane has its publication now and has written it, or waits for the
    // server (for its answer, its connection, or room in its socket). One time for all of the turn, taken at its end,
    // says rather too much than too little.
    const atUs = nowUs()
    for (let n = from; n < to; n++) book.left(dueUsOf(stretch, n), atUs)
  }
}

/** Waits until everything taken is sent and answered; what is not in time never will be. */
async function settleAll(lanes: readonly Lane[], book: PublisherBook): Promise<void> {
  const deadlineUs = nowUs() + STOP_TIMEOUT_MS * 1000
  const isOpen = (lane: Lane) => lane.waiting() > 0 || lane.unanswered() > 0
  while (lanes.some(isOpen) && nowUs() < deadlineUs) await wait(STOP_POLL_MS)
  for (const lane of lanes) {
    const forgotten = lane.giveUp()
    if (forgotten > 0) book.note(`not sent: ${forgotten} waited when publishing stopped`)
  }
}

function sumOf(lanes: readonly Lane[], count: (lane: Lane) => number): number {
  return lanes.reduce((sum, lane) => sum + count(lane), 0)
}
