// The publishers of the stress run: over WebSocket and TCP, and over the server API. Test process.
// Invariant: a publisher's sequence rises with each publication, and its connection's number with each connection.

import { type Payload, payloadOf } from './ledger.ts'
import { type LineClient, openLineClient, type Transport } from './line-client.ts'
import { COMMON_CHANNELS, FLOOD_CHANNELS, FLOOD_CHARACTERS, pick, type Stage } from './stage.ts'

export type Publisher = Readonly<{
  start: () => void
  /** Resolves when nothing of it is under way any more. */
  stop: () => Promise<void>
}>

/** Mean time between two turns of one publisher, and how much a client sends in one without waiting. */
const PAUSE_MS_MAX = 200
const BURST_MAX = 5
const CHARACTERS_MAX = 600
const RETRY_MS_MAX = 200

function randomPayload(stage: Stage, who: Omit<Payload, 'channel' | 'size' | 'text'>): Payload {
  return payloadOf({ ...who, channel: pick(stage, COMMON_CHANNELS), size: stage.random(CHARACTERS_MAX) })
}

/** A client: several publications at once, on one connection until that is lost. */
export function clientPublisher(stage: Stage, publisher: number, transport: Transport): Publisher {
  const pending = new Map<number, Payload>()
  const idle = Promise.withResolvers<void>()
  let client: LineClient | undefined
  let connection = 0
  let sequence = 0
  let id = 1
  let stopping = false
  let timer: NodeJS.Timeout | undefined
  let answersPings = false

  function finishIfIdle(): void {
    if (stopping && pending.size === 0) idle.resolve()
  }

  function connect(): void {
    connection++
    const opened: LineClient = openLineClient(transport, stage.relay.ports, {
      onOpen: () => opened.send([{ id: 1, connect: {} }]),
      onMessage: message => onMessage(message),
      onClose: () => {
        clearTimeout(timer)
        pending.clear()
        finishIfIdle()
        if (!stopping) timer = setTimeout(connect, stage.random(RETRY_MS_MAX))
      },
    })
    client = opened
  }

  function onMessage(message: any): void {
    if (message.id === 1) {
      answersPings = message.connect?.pong === true
      plan()
    } else if (message.id > 1) {
      const payload = pending.get(message.id)!
      pending.delete(message.id)
      if (message.error === undefined) stage.ledger.acknowledge(payload, undefined)
      else stage.count(`publish error ${message.error.code}`)
      if (pending.size === 0 && !stopping) plan()
      finishIfIdle()
    } else if (message.push === undefined && answersPings) {
      client?.send([{}])
    }
  }

  function plan(): void {
    timer = setTimeout(publish, stage.random(PAUSE_MS_MAX))
  }

  function publish(): void {
    const commands = Array.from({ length: 1 + stage.random(BURST_MAX) }, () => {
      const payload = randomPayload(stage, { publisher, connection, sequence: ++sequence })
      pending.set(++id, payload)
      return { id, publish: { channel: payload.channel, data: payload } }
    })
    client?.send(commands)
  }

  return {
    start: connect,
    stop() {
      stopping = true
      clearTimeout(timer)
      finishIfIdle()
      return idle.promise
    },
  }
}

/** A back end: one request at a time. */
export function apiPublisher(stage: Stage, publisher: number): Publisher {
  let connection = 1
  let sequence = 0
  let stopping = false
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    while (!stopping) {
      await new Promise(resolve => setTimeout(resolve, stage.random(PAUSE_MS_MAX)))
      const payload = randomPayload(stage, { publisher, connection, sequence: ++sequence })
      // An answer that was lost says nothing about the publication: it may still come, after the next one.
      if (!(await publishByApi(stage, payload))) connection++
    }
  }
  return {
    start: () => {
      running = run()
    },
    async stop() {
      stopping = true
      await running
    },
  }
}

/** Some ten megabytes: more than the kernel's buffers hold for a reader who pauses meanwhile. */
const FLOOD_PUBLICATIONS = 150
const FLOOD_PAUSE_MS = 1000

/** `onFlood`: a flood begins; what it returns is called at the end of it. */
export function floodPublisher(stage: Stage, publisher: number, onFlood: () => () => void): Publisher {
  let connection = 1
  let sequence = 0
  let stopping = false
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    while (!stopping) {
      await new Promise(resolve => setTimeout(resolve, FLOOD_PAUSE_MS))
      const channel = pick(stage, FLOOD_CHANNELS)
      const onEnd = onFlood()
      for (let i = 0; i < FLOOD_PUBLICATIONS && !stopping; i++) {
        const fields = { channel, publisher, connection, sequence: ++sequence, size: FLOOD_CHARACTERS }
        if (!(await publishByApi(stage, payloadOf(fields)))) connection++
      }
      onEnd()
    }
  }
  return {
    start: () => {
      running = run()
    },
    async stop() {
      stopping = true
      await running
    },
  }
}

/** False: there was no answer. */
async function publishByApi(stage: Stage, payload: Payload): Promise<boolean> {
  try {
    const { body } = await stage.relay.api('publish', { channel: payload.channel, data: payload })
    if (body.error !== undefined) {
      stage.count(`API error ${body.error.code}`)
      return true
    }
    const { epoch, offset } = body.result
    stage.ledger.acknowledge(payload, offset === undefined ? undefined : { epoch, offset })
    return true
  } catch {
    stage.count('API request lost')
    return false
  }
}
