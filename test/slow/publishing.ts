// Numbered publications, so that a subscriber's share of them can be checked. For the tests of this folder.

import type { RawClient } from '../support/raw-client.ts'

/** 6 KB each: some 900 of them fill the kernel's buffers on loopback before the relay sees anything. */
export const DATA = 'x'.repeat(6_000)
export const MESSAGES = 2_500

/** So many are under way at once. */
const BURST = 10

/** Publishes numbers from `first` on; resolves when all were acknowledged. */
export async function publish(
  publisher: RawClient,
  channel: string,
  first: number,
  count: number,
): Promise<void> {
  for (let from = first; from < first + count; from += BURST) {
    const numbers = upTo(Math.min(BURST, first + count - from)).map(n => from + n)
    publisher.send(
      ...numbers.map(number => ({ id: 10 + number, publish: { channel, data: { number, DATA } } })),
    )
    const last = 10 + numbers.at(-1)!
    const reply = await publisher.next(({ id }) => id === last)
    if (reply.error !== undefined) throw new Error(`not published: ${JSON.stringify(reply.error)}`)
  }
}

/** The numbers that a client got, in its order. */
export function numbersOf(client: RawClient, channel: string): number[] {
  return client.publications(channel).map(({ data }) => data.number)
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}
