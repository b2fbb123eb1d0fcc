// The judge of a stress run: hears what publishers were promised and what subscribers saw, and says what is wrong.
// Test process; pure, no clock. Invariant: a gap, repetition or exchange that nobody was told of is a violation, and
// a subscriber is told by `recovered: false`, by unsubscribe 2500, or by a new epoch.

export type Position = Readonly<{ epoch: string; offset: number }>

/** What a publisher writes: who, over which of its connections, and which one of those it is. */
export type Payload = Readonly<{
  channel: string
  publisher: number
  connection: number
  sequence: number
  size: number
  text: string
}>

export type Publication = Readonly<{ offset?: number; data: Payload }>

export type SubscribeResult = Readonly<{
  epoch?: string
  offset?: number
  recovered?: boolean
  was_recovering?: boolean
  publications?: readonly Publication[]
}>

export type ChannelRules = Readonly<{ historySize: number; recoveryMax: number }>

/** Of one, two, three and four bytes in UTF-8: bytes counted as characters anywhere would show. */
const LETTERS = ['a', 'é', '€', '😀']
/** One bug makes a flood of violations; the first ones tell it. */
const VIOLATIONS_KEPT_MAX = 50

export function payloadOf(fields: Omit<Payload, 'text'>): Payload {
  return { ...fields, text: letterOf(fields.publisher + fields.sequence).repeat(fields.size) }
}

function letterOf(number: number): string {
  return LETTERS[number % LETTERS.length]!
}

function idOf({ publisher, connection, sequence }: Payload): string {
  return `${publisher}.${connection}.${sequence}`
}

/** What is known of one epoch of a channel: the publication at each offset that anybody saw. */
type Stream = { readonly ids: (string | undefined)[]; top: number }

type Acknowledged = Readonly<{ channel: string; payload: Payload }>

export class Ledger {
  readonly violations: string[] = []
  violationCount = 0
  readonly counts = { seen: 0, acknowledged: 0, recovered: 0, lost: 0, told: 0, epochs: 0 }
  readonly #rulesOf: (channel: string) => ChannelRules
  readonly #streams = new Map<string, Map<string, Stream>>()
  readonly #acknowledged: Acknowledged[] = []

  constructor(rulesOf: (channel: string) => ChannelRules) {
    this.#rulesOf = rulesOf
  }

  violate(what: string): void {
    this.violationCount++
    if (this.violations.length < VIOLATIONS_KEPT_MAX) this.violations.push(what)
  }

  /** One subscriber's sight of one channel, over all its connections. */
  view(subscriber: string, channel: string): View {
    return new View(this, subscriber, channel, this.#rulesOf(channel))
  }

  /** The relay said yes to a publication; the API says where it stands as well. */
  acknowledge(payload: Payload, position: Position | undefined): void {
    this.counts.acknowledged++
    this.#acknowledged.push({ channel: payload.channel, payload })
    if (position !== undefined) this.place(payload.channel, position, payload, 'its publisher')
  }

  /** Somebody says that this publication stands there: all have to agree. */
  place(channel: string, { epoch, offset }: Position, payload: Payload, who: string): void {
    const stream = this.#stream(channel, epoch)
    const id = idOf(payload)
    const known = stream.ids[offset]
    if (known !== undefined && known !== id) {
      this.violate(`${who}: ${channel} ${epoch}/${offset} is ${id}, others have ${known}`)
    }
    stream.ids[offset] = id
    stream.top = Math.max(stream.top, offset)
  }

  /** The channel has this epoch now: it may be that of a home whose publications nobody was there to see. */
  hear(channel: string, epoch: string): void {
    this.#stream(channel, epoch)
  }

  #stream(channel: string, epoch: string): Stream {
    let epochs = this.#streams.get(channel)
    if (epochs === undefined) {
      epochs = new Map()
      this.#streams.set(channel, epochs)
    }
    let stream = epochs.get(epoch)
    if (stream === undefined) {
      stream = { ids: [], top: 0 }
      epochs.set(epoch, stream)
      this.counts.epochs++
    }
    return stream
  }

  /** At the end of a run: the order of each publisher's publications, and that none of the promised is missing. */
  finish(): void {
    const placed = new Map<string, { epoch: string; offset: number }>()
    for (const [channel, epochs] of this.#streams) {
      for (const [epoch, { ids }] of epochs) {
        const latest = new Map<string, number>()
        for (let offset = 1; offset < ids.length; offset++) {
          const id = ids[offset]
          if (id === undefined) continue
          const key = `${channel} ${id}`
          if (placed.has(key)) this.violate(`${channel}: ${id} stands twice, at ${epoch}/${offset} too`)
          placed.set(key, { epoch, offset })
          const line = id.slice(0, id.lastIndexOf('.'))
          const sequence = Number(id.slice(id.lastIndexOf('.') + 1))
          const before = latest.get(line) ?? 0
          if (sequence <= before) this.violate(`${channel} ${epoch}/${offset}: ${id} stands after ${before}`)
          latest.set(line, sequence)
        }
      }
    }
    this.#checkAcknowledged(placed)
  }

  /**
   * A promised publication that nobody saw is missing when its publisher's promised ones before and after it stand in
   * one epoch, and all offsets between them were seen. With a new epoch in between the subscribers were told.
   */
  #checkAcknowledged(placed: Map<string, Position>): void {
    const lines = new Map<string, Acknowledged[]>()
    for (const entry of this.#acknowledged) {
      if (this.#rulesOf(entry.channel).historySize === 0) continue
      const key = `${entry.channel} ${entry.payload.publisher}`
      const line = lines.get(key)
      if (line === undefined) lines.set(key, [entry])
      else line.push(entry)
    }
    for (const line of lines.values()) {
      let before: Position | undefined
      let missing: Acknowledged[] = []
      for (const entry of line) {
        const position = placed.get(`${entry.channel} ${idOf(entry.payload)}`)
        if (position === undefined) {
          missing.push(entry)
          continue
        }
        if (before?.epoch === position.epoch) {
          if (position.offset < before.offset)
            this.violate(`${entry.channel}: ${idOf(entry.payload)} was promised later and stands earlier`)
          this.#checkMissing(missing, position.epoch, before.offset, position.offset)
        }
        missing = []
        before = position
      }
      // After the last that was seen: up to the top of its epoch, if that was the channel's only one.
      const { channel } = line[0]!
      const epochs = this.#streams.get(channel)
      if (epochs?.size !== 1) continue
      const [[epoch, { top }]] = [...epochs] as [[string, Stream]]
      this.#checkMissing(missing, epoch, before?.offset ?? 0, top + 1)
    }
  }

  #checkMissing(missing: readonly Acknowledged[], epoch: string, from: number, to: number): void {
    for (const { channel, payload } of missing) {
      const { ids } = this.#streams.get(channel)!.get(epoch)!
      let seenAll = true
      for (let offset = from + 1; offset < to; offset++) seenAll &&= ids[offset] !== undefined
      if (seenAll)
        this.violate(`${channel}: ${idOf(payload)} was promised and is nowhere in ${epoch}/${from}–${to}`)
    }
  }
}

export class View {
  /** Where the subscriber stands; undefined: it never did, or begins anew. */
  position: Position | undefined
  /** Between a subscribe reply and the end of that subscription. */
  subscribed = false
  readonly #ledger: Ledger
  readonly #who: string
  readonly #channel: string
  readonly #rules: ChannelRules
  /** Of channels without history: the latest sequence of each publisher's connection. */
  readonly #latest = new Map<string, number>()
  #toldInsufficient = false

  constructor(ledger: Ledger, subscriber: string, channel: string, rules: ChannelRules) {
    this.#ledger = ledger
    this.#who = subscriber
    this.#channel = channel
    this.#rules = rules
  }

  get hasHistory(): boolean {
    return this.#rules.historySize > 0
  }

  /** `asked`: the position that was sent along. */
  onSubscribed(result: SubscribeResult, asked: Position | undefined): void {
    if (this.subscribed) this.#violate('subscribed twice')
    this.subscribed = true
    const insufficient = this.#toldInsufficient
    this.#toldInsufficient = false
    if (!this.hasHistory) return
    const { epoch = '', offset = 0, recovered = false, was_recovering = false, publications = [] } = result
    if (epoch === '') this.#violate('no epoch in a subscribe reply')
    if (was_recovering !== (asked !== undefined)) this.#violate(`was_recovering is ${was_recovering}`)
    if (!recovered) {
      if (publications.length > 0) this.#violate('publications without recovered')
      if (asked !== undefined) this.#onLost(asked, { epoch, offset })
      this.position = { epoch, offset }
      return
    }
    this.#ledger.counts.recovered++
    if (asked === undefined) return this.#violate('recovered without having asked')
    if (asked.epoch !== epoch) this.#violate(`recovered from ${asked.epoch} in ${epoch}`)
    if (insufficient) this.#violate(`was told 2500 at ${asked.offset}, but the history was there`)
    this.position = asked
    for (const publication of publications) this.onPublication(publication)
    if (this.position.offset !== offset)
      this.#violate(`recovered ${asked.offset}–${this.position.offset}, but ${offset} is the position`)
    this.position = { epoch, offset }
  }

  /** `recovered: false` is an honest answer, but not when all that was missed must still be there. */
  #onLost(asked: Position, now: Position): void {
    this.#ledger.counts.lost++
    const missed = now.offset - asked.offset
    const { historySize, recoveryMax } = this.#rules
    if (asked.epoch === now.epoch && missed <= Math.min(historySize, recoveryMax))
      this.#violate(`not recovered, though only ${missed} were missed`)
  }

  onPublication({ offset = 0, data }: Publication): void {
    this.#ledger.counts.seen++
    if (!this.subscribed) return this.#violate('a publication while not subscribed')
    if (data.channel !== this.#channel) return this.#violate(`a publication of ${data.channel}`)
    if (data.text !== payloadOf(data).text) this.#violate(`${idOf(data)} is damaged`)
    if (!this.hasHistory) return this.#onUnordered(offset, data)
    const position = this.position!
    if (offset !== position.offset + 1) {
      this.#violate(`${position.epoch}/${offset} (${idOf(data)}) came after ${position.offset}`)
    }
    this.position = { epoch: position.epoch, offset }
    this.#ledger.place(this.#channel, this.position, data, this.#who)
  }

  /** Nothing is promised but the order of each publisher, and nothing twice. */
  #onUnordered(offset: number, data: Payload): void {
    if (offset !== 0) this.#violate(`offset ${offset} in a channel without history`)
    const line = `${data.publisher}.${data.connection}`
    const before = this.#latest.get(line) ?? 0
    if (data.sequence <= before) this.#violate(`${idOf(data)} came after ${before}`)
    this.#latest.set(line, data.sequence)
  }

  /** The server ended the subscription. */
  onUnsubscribed(code: number): void {
    if (!this.subscribed) this.#violate(`unsubscribe ${code} while not subscribed`)
    if (code !== 2500) this.#violate(`unsubscribe ${code}`)
    this.#ledger.counts.told++
    this.#toldInsufficient = true
    this.subscribed = false
  }

  /** The subscriber left, or its connection is gone. */
  onEnded(): void {
    this.subscribed = false
  }

  /** The next subscription starts without a position. */
  forget(): void {
    this.position = undefined
    this.#toldInsufficient = false
  }

  #violate(what: string): void {
    this.#ledger.violate(`${this.#who} in ${this.#channel}: ${what}`)
  }
}
