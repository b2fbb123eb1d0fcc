// Random senders at once, some calls failing: places without gaps, each id once, one rev for each change.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openMessenger, PATIENTLY } from '../support/messenger.ts'

const USERS = 3

const step = fc.record({
  user: fc.nat(USERS - 1),
  kind: fc.constantFrom('send', 'send', 'send', 'edit', 'delete', 'react', 'pin'),
  clientId: fc.nat(30),
  seq: fc.integer({ min: 1, max: 40 }),
  /** Some texts are refused. */
  text: fc.constantFrom('hello', 'a longer text', '', 'bad \u0000'),
  /** Whether the next one waits for this one's answer. */
  waits: fc.boolean(),
})

test('however calls come together, the archive has no gap and nothing twice', async () => {
  const { addUser, db, relay } = openMessenger()
  const users = Array.from({ length: USERS }, (_, index) =>
    addUser(`user${index}`, index === 0 ? 'admin' : 'user'),
  )
  const [owner] = users
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async steps => {
      const members = users.slice(1).map(({ id }) => id)
      const made = await owner!.call('conversation.create_group', { name: 'a group', members })
      const conversation = made.conversation.id as number
      const acknowledged = new Map<string, unknown>()
      const calls: Promise<unknown>[] = []
      for (const { user, kind, clientId, seq, text, waits } of steps) {
        const { id, call } = users[user]!
        const run = async () => {
          if (kind !== 'send') {
            const more = { edit: { text }, react: { emoji: '👍' }, delete: {}, pin: {} }[kind]
            return call(`message.${kind}`, { conversation, seq, ...more })
          }
          const client_id = `c${clientId}`
          const { message } = await call('message.send', { conversation, client_id, text })
          const key = `${id} ${client_id}`
          expect(acknowledged.get(key) ?? message).toEqual(message)
          acknowledged.set(key, message)
        }
        const running = run().catch(error => expect(error).toHaveProperty('code'))
        calls.push(running)
        if (waits) await running
      }
      await Promise.all(calls)
      const rows = db.all<{ seq: number; rev: number; sent: string }>(
        "SELECT seq, rev, author_id || ' ' || client_id AS sent FROM messages WHERE conversation_id = ? ORDER BY seq",
        conversation,
      )
      expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, index) => index + 1))
      expect(rows.map(({ sent }) => sent).sort()).toEqual([...acknowledged.keys()].sort())
      const place = db.get<{ seq: number; rev: number }>(
        'SELECT seq, rev FROM conversations WHERE id = ?',
        conversation,
      )!
      expect(place.seq).toBe(rows.length)
      // Each change has been told once, in order, with the next rev.
      const revs = () => relay.eventsOf(`im:c:${conversation}`).map(({ rev }) => rev)
      await expect.poll(() => revs().length, PATIENTLY).toBe(place.rev)
      expect(revs()).toEqual(Array.from({ length: place.rev }, (_, index) => index + 1))
    }),
    { numRuns: 30 },
  )
}, 60_000)
