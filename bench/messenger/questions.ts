// What is asked of the archive in a measurement: kinds of searches and pages, each with words and users of its own.

import { EVERYONE } from '../../src/messenger/store/schema.ts'
import { type Archive, USERS } from './fill.ts'
import type { Texts } from './text.ts'

export type Question = Readonly<{ method: string; user: number; input: object }>
export type Kind = Readonly<{ name: string; group: 'search' | 'page'; ask: () => Question }>

const PAGE = 50
/** Ranks in the vocabulary. */
const COMMON = 30
const MIDDLE = 3_000

export function kindsOfQuestions(
  { groupsOf }: Archive,
  { random, vocabulary }: Texts,
  newest: ReadonlyMap<number, number>,
): Kind[] {
  const below = (limit: number) => Math.floor(random() * limit)
  const common = () => vocabulary[below(COMMON)]!
  const middle = () => vocabulary[COMMON + below(MIDDLE - COMMON)]!
  const rare = () => vocabulary[MIDDLE + below(vocabulary.length - MIDDLE)]!
  const user = () => 1 + below(USERS)
  const search = (name: string, query: () => string): Kind => ({
    name,
    group: 'search',
    ask: () => ({
      method: 'search.messages',
      user: user(),
      input: { query: query(), utc_offset_min: 0, limit: 20 },
    }),
  })
  const page = (name: string, method: string, input: (newestSeq: number) => object): Kind => ({
    name,
    group: 'page',
    ask: () => {
      const asker = user()
      const own = [EVERYONE, ...groupsOf.get(asker)!].filter(id => (newest.get(id) ?? 0) > 0)
      const conversation = own[below(own.length)]!
      return {
        method,
        user: asker,
        input: { conversation, limit: PAGE, ...input(newest.get(conversation)!) },
      }
    },
  })
  const place = (newestSeq: number) => 1 + below(newestSeq)
  return [
    search('a common word', common),
    search('a word', middle),
    search('a rare word', rare),
    search('two words', () => `${common()} ${middle()}`),
    search('three words', () => `${common()} ${common()} ${middle()}`),
    search('a phrase', () => `"${common()} ${middle()}"`),
    search('a prefix', () => `${middle().slice(0, 4)}*`),
    search('a part of a word', () => rare().slice(1, 6).padEnd(3, 'a')),
    search('a word of one user', () => `${middle()} from:user${user()}`),
    search(
      'a word since a date',
      () => `${middle()} after:${new Date(Date.now() - below(700) * 86_400_000).toISOString().slice(0, 10)}`,
    ),
    search('links', () => 'has:link'),
    search('nothing that is there', () => 'xqzwvyx'),
    page('the newest page', 'message.list', () => ({})),
    page('a page anywhere', 'message.list', newestSeq => ({ before: place(newestSeq) })),
    page('around a message', 'message.around', newestSeq => ({ seq: place(newestSeq) })),
    page('what changed', 'message.changes', newestSeq => ({ after_rev: Math.max(0, newestSeq - PAGE) })),
  ]
}
