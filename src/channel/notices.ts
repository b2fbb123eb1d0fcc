// What the messenger tells all shards, for the parts of a shard that keep something themselves. Runs on the shard.

export type Notices = Readonly<{
  /** `listener` gets each text that is told under the topic from now on. */
  on: (topic: string, listener: (text: string) => void) => void
  /** Nobody need listen. */
  tell: (topic: string, text: string) => void
}>

export function createNotices(): Notices {
  const listeners = new Map<string, ((text: string) => void)[]>()
  return {
    on(topic, listener) {
      listeners.set(topic, [...(listeners.get(topic) ?? []), listener])
    },
    tell(topic, text) {
      for (const listener of listeners.get(topic) ?? []) listener(text)
    },
  }
}
