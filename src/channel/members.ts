// Who is in a channel: the list behind presence, and behind leave events when a shard is lost. Runs at the home.

export type Member = Readonly<{
  user: string
  info: string
  shard: number
  presence: boolean
  emitsJoinLeave: boolean
}>

export class Members {
  readonly #byClient = new Map<string, Member>()
  /** Present clients per user, so that statistics of a large channel cost nothing. */
  readonly #clientsPerUser = new Map<string, number>()
  #present = 0

  get size(): number {
    return this.#byClient.size
  }

  get clients(): number {
    return this.#present
  }

  get users(): number {
    return this.#clientsPerUser.size
  }

  add(client: string, member: Member): void {
    this.remove(client)
    this.#byClient.set(client, member)
    if (!member.presence) return
    this.#present++
    this.#clientsPerUser.set(member.user, (this.#clientsPerUser.get(member.user) ?? 0) + 1)
  }

  remove(client: string): Member | undefined {
    const member = this.#byClient.get(client)
    if (member === undefined) return undefined
    this.#byClient.delete(client)
    if (!member.presence) return member
    this.#present--
    const left = (this.#clientsPerUser.get(member.user) ?? 1) - 1
    if (left === 0) this.#clientsPerUser.delete(member.user)
    else this.#clientsPerUser.set(member.user, left)
    return member
  }

  /** Takes out all members whose connections were on a shard that is lost. */
  removeShard(shard: number): Member[] {
    const lost = [...this.#byClient].filter(([, member]) => member.shard === shard)
    for (const [client] of lost) this.remove(client)
    return lost.map(([, member]) => member)
  }

  /** The present ones as JSON members `"client":{info}`; undefined when they take more than `bytesMax`. */
  json(bytesMax: number): string | undefined {
    const parts: string[] = []
    let bytes = 0
    for (const [client, member] of this.#byClient) {
      if (!member.presence) continue
      const part = `"${client}":${member.info}`
      bytes += Buffer.byteLength(part) + 1
      if (bytes > bytesMax) return undefined
      parts.push(part)
    }
    return parts.join(',')
  }
}
