// The permission rules as complete tables: every combination of options and of who asks, each with its expected
// answer written out, and the reason for it where the rows would not tell.

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  accessOfSubscriber,
  decideSubscriptionModes,
  type ModeOptions,
  mayPublish,
  mayReadHistory,
  mayReadPresence,
  maySubscribe,
  type SubscribeOptions,
  type Who,
} from '../../src/auth/permissions.ts'

const BOTH = [false, true]

/** Columns: anonymous, anonymous subscribed, user, user subscribed. a = allowed, d = denied. */
const WHO: Who[] = [
  { user: '', subscribed: false, insecure: false },
  { user: '', subscribed: true, insecure: false },
  { user: '42', subscribed: false, insecure: false },
  { user: '42', subscribed: true, insecure: false },
]

/** Rows: for_client, for_subscriber, for_anonymous. One table, because the three operations share their rule. */
const GRANTS: { client: 0 | 1; subscriber: 0 | 1; anonymous: 0 | 1; answers: string; reason: string }[] = [
  { client: 0, subscriber: 0, anonymous: 0, answers: 'dddd', reason: 'nothing is allowed by default' },
  { client: 0, subscriber: 0, anonymous: 1, answers: 'dddd', reason: 'for_anonymous alone grants nothing' },
  { client: 0, subscriber: 1, anonymous: 0, answers: 'ddda', reason: 'named subscribers only' },
  { client: 0, subscriber: 1, anonymous: 1, answers: 'dada', reason: 'all subscribers' },
  { client: 1, subscriber: 0, anonymous: 0, answers: 'ddaa', reason: 'all named users' },
  { client: 1, subscriber: 0, anonymous: 1, answers: 'aaaa', reason: 'everybody' },
  { client: 1, subscriber: 1, anonymous: 0, answers: 'ddaa', reason: 'for_client includes subscribers' },
  { client: 1, subscriber: 1, anonymous: 1, answers: 'aaaa', reason: 'everybody' },
]

function optionsOf(client: boolean, subscriber: boolean, anonymous: boolean, enabled: boolean) {
  return {
    historyEnabled: enabled,
    presence: enabled,
    allow_publish_for_client: client,
    allow_publish_for_subscriber: subscriber,
    allow_publish_for_anonymous: anonymous,
    allow_history_for_client: client,
    allow_history_for_subscriber: subscriber,
    allow_history_for_anonymous: anonymous,
    allow_presence_for_client: client,
    allow_presence_for_subscriber: subscriber,
    allow_presence_for_anonymous: anonymous,
  }
}

describe('publishing, reading history and reading presence', () => {
  for (const row of GRANTS) {
    const title = `client ${row.client}, subscriber ${row.subscriber}, anonymous ${row.anonymous}`
    const flags = [row.client === 1, row.subscriber === 1, row.anonymous === 1] as const
    const options = optionsOf(...flags, true)

    test(`${title}: ${row.reason}`, () => {
      const letters = (decide: (who: Who) => string) => WHO.map(who => decide(who)[0]).join('')
      expect(letters(who => mayPublish(options, who))).toBe(row.answers)
      expect(letters(who => mayReadHistory(options, who))).toBe(row.answers)
      expect(letters(who => mayReadPresence(options, who))).toBe(row.answers)
    })

    test(`${title}: without history or presence neither is available to anybody, before any permission`, () => {
      const without = optionsOf(...flags, false)
      for (const who of [...WHO, { user: '', subscribed: true, insecure: true }]) {
        expect(mayReadHistory(without, who)).toBe('not_available')
        expect(mayReadPresence(without, who)).toBe('not_available')
      }
    })

    test(`${title}: insecure mode allows all of it to everybody`, () => {
      for (const { user, subscribed } of WHO) {
        const who = { user, subscribed, insecure: true }
        expect(mayPublish(options, who)).toBe('allowed')
        expect(mayReadHistory(options, who)).toBe('allowed')
        expect(mayReadPresence(options, who)).toBe('allowed')
      }
    })

    test(`${title}: a client about to subscribe has the access of a subscriber, even where nothing is kept`, () => {
      const access = (allowed: boolean) => ({ history: allowed, presence: allowed })
      for (const enabled of BOTH) {
        const channel = optionsOf(...flags, enabled)
        const anonymous = accessOfSubscriber(channel, { user: '', insecure: false })
        const named = accessOfSubscriber(channel, { user: '42', insecure: false })
        expect(anonymous).toEqual(access(row.answers[1] === 'a'))
        expect(named).toEqual(access(row.answers[3] === 'a'))
        expect(accessOfSubscriber(channel, { user: '', insecure: true })).toEqual(access(true))
      }
    })
  }
})

describe('subscribing', () => {
  const OPEN = { allowedUsers: undefined, isPrivate: false }
  const MINE = { allowedUsers: ['17', '42'], isPrivate: false }
  const THEIRS = { allowedUsers: ['17'], isPrivate: false }

  /** Columns: anonymous in an open channel, in #17,42, in #17; then the same for user 42. */
  const rows: { limited: 0 | 1; client: 0 | 1; anonymous: 0 | 1; answers: string; reason: string }[] = [
    { limited: 0, client: 0, anonymous: 0, answers: 'ddd ddd', reason: 'nothing is allowed by default' },
    { limited: 0, client: 0, anonymous: 1, answers: 'ddd ddd', reason: 'for_anonymous alone grants nothing' },
    { limited: 0, client: 1, anonymous: 0, answers: 'ddd aaa', reason: "the '#' has no meaning here" },
    { limited: 0, client: 1, anonymous: 1, answers: 'aaa aaa', reason: "the '#' has no meaning here" },
    { limited: 1, client: 0, anonymous: 0, answers: 'ddd dad', reason: 'the list admits' },
    { limited: 1, client: 0, anonymous: 1, answers: 'ddd dad', reason: 'the list admits named users only' },
    { limited: 1, client: 1, anonymous: 0, answers: 'ddd aad', reason: 'for_client is not asked for a list' },
    { limited: 1, client: 1, anonymous: 1, answers: 'add aad', reason: 'nor is for_anonymous' },
  ]

  function subscribeOptions(limited: boolean, client: boolean, anonymous: boolean): SubscribeOptions {
    return {
      allow_user_limited_channels: limited,
      allow_subscribe_for_client: client,
      allow_subscribe_for_anonymous: anonymous,
    }
  }

  for (const row of rows) {
    const title = `limited ${row.limited}, client ${row.client}, anonymous ${row.anonymous}`
    const options = subscribeOptions(row.limited === 1, row.client === 1, row.anonymous === 1)
    const answers = (ask: (user: string, channel: typeof OPEN | typeof MINE) => string) =>
      ['', '42'].map(user => [OPEN, MINE, THEIRS].map(channel => ask(user, channel)[0]).join('')).join(' ')

    test(`${title}: ${row.reason}`, () => {
      const ask = (user: string, channel: typeof OPEN | typeof MINE) =>
        maySubscribe(options, channel, { user, insecure: false }, 'none')
      expect(answers(ask)).toBe(row.answers)
    })

    test(`${title}: a private channel needs a token, even in insecure mode`, () => {
      for (const insecure of BOTH) {
        const ask = (user: string, channel: typeof OPEN | typeof MINE) =>
          maySubscribe(options, { ...channel, isPrivate: true }, { user, insecure }, 'none')
        expect(answers(ask)).toBe('ddd ddd')
      }
    })

    test(`${title}: a valid token decides alone`, () => {
      for (const insecure of BOTH) {
        for (const isPrivate of BOTH) {
          const ask = (user: string, channel: typeof OPEN | typeof MINE) =>
            maySubscribe(options, { ...channel, isPrivate }, { user, insecure }, 'valid')
          expect(answers(ask)).toBe('aaa aaa')
        }
      }
    })

    test(`${title}: insecure mode admits everybody to what is not private`, () => {
      const ask = (user: string, channel: typeof OPEN | typeof MINE) =>
        maySubscribe(options, channel, { user, insecure: true }, 'none')
      expect(answers(ask)).toBe('aaa aaa')
    })
  }

  test('an empty name in the list of users does not admit anonymous users', () => {
    const options = subscribeOptions(true, false, false)
    for (const allowedUsers of [[''], ['17', ''], []]) {
      const channel = { allowedUsers, isPrivate: false }
      expect(maySubscribe(options, channel, { user: '', insecure: false }, 'none')).toBe('denied')
    }
  })

  test('a user is compared as a whole, not as a part of a name', () => {
    const options = subscribeOptions(true, false, false)
    const channel = { allowedUsers: ['421', '4'], isPrivate: false }
    expect(maySubscribe(options, channel, { user: '42', insecure: false }, 'none')).toBe('denied')
  })
})

describe('for all options and clients', () => {
  const userName = fc.constantFrom('', '42', '17')
  const flag = fc.boolean()
  const who = fc.record({ user: userName, subscribed: flag, insecure: flag })
  const channel = fc.record({
    allowedUsers: fc.option(fc.array(userName, { maxLength: 3 }), { nil: undefined }),
    isPrivate: fc.boolean(),
  })
  const ALL_OFF = {
    ...optionsOf(false, false, false, false),
    allow_user_limited_channels: false,
    allow_subscribe_for_client: false,
    allow_subscribe_for_anonymous: false,
  }
  type AllOptions = typeof ALL_OFF
  const names = Object.keys(ALL_OFF)
  const allOptions = fc.subarray(names).map((on): AllOptions => {
    return { ...ALL_OFF, ...Object.fromEntries(on.map(name => [name, true])) }
  })
  // allow_user_limited_channels is left out: it gives the '#' its meaning and so closes channels to those not named.
  const grants = names.filter(name => name.startsWith('allow_') && name !== 'allow_user_limited_channels')
  const grant = fc.constantFrom(...grants)

  function decisions(
    options: AllOptions,
    facts: { allowedUsers: string[] | undefined; isPrivate: boolean },
    asker: Who,
  ) {
    return [
      maySubscribe(options, facts, asker, 'none'),
      mayPublish(options, asker),
      mayReadHistory(options, asker),
      mayReadPresence(options, asker),
    ]
  }

  test('one more allow_ option never turns allowed into anything else', () => {
    fc.assert(
      fc.property(allOptions, channel, who, grant, (options, facts, asker, added) => {
        const before = decisions(options, facts, asker)
        const after = decisions({ ...options, [added]: true }, facts, asker)
        before.forEach((decision, index) => {
          if (decision === 'allowed') expect(after[index]).toBe('allowed')
        })
      }),
    )
  })

  test('being subscribed, or insecure mode, never takes a permission away', () => {
    fc.assert(
      fc.property(allOptions, channel, who, (options, facts, asker) => {
        const before = decisions(options, facts, asker)
        for (const stronger of [
          { ...asker, subscribed: true },
          { ...asker, insecure: true },
        ]) {
          const after = decisions(options, facts, stronger)
          before.forEach((decision, index) => {
            if (decision === 'allowed') expect(after[index]).toBe('allowed')
          })
        }
      }),
    )
  })

  test('what an anonymous user may do, any named user whom the channel does not exclude may do', () => {
    fc.assert(
      fc.property(allOptions, channel, who, (options, facts, asker) => {
        const anonymous = decisions(options, facts, { ...asker, user: '' })
        const named = decisions(options, facts, { ...asker, user: '42' })
        anonymous.forEach((decision, index) => {
          if (decision === 'allowed') expect(named[index]).toBe('allowed')
        })
      }),
    )
  })
})

describe('modes of a subscription', () => {
  const PLAIN: ModeOptions = {
    historyEnabled: true,
    presence: false,
    join_leave: false,
    force_push_join_leave: false,
    force_positioning: false,
    allow_positioning: false,
    force_recovery: false,
    allow_recovery: false,
  }
  const NOTHING_ASKED = { positioned: false, recoverable: false, join_leave: false }
  const ALL_ASKED = { positioned: true, recoverable: true, join_leave: true }
  const NO_ACCESS = { history: false, presence: false }
  const ALL_ACCESS = { history: true, presence: true }
  const OFF = {
    presence: false,
    emitJoinLeave: false,
    pushJoinLeave: false,
    positioned: false,
    recoverable: false,
  }

  test('without options, wishes and access everything is off', () => {
    expect(decideSubscriptionModes(PLAIN, undefined, NOTHING_ASKED, NO_ACCESS)).toEqual(OFF)
    expect(decideSubscriptionModes(PLAIN, undefined, ALL_ASKED, NO_ACCESS)).toEqual(OFF)
    expect(decideSubscriptionModes(PLAIN, undefined, NOTHING_ASKED, ALL_ACCESS)).toEqual(OFF)
  })

  test('the channel forces modes on clients that did not ask', () => {
    const forced = {
      ...PLAIN,
      presence: true,
      join_leave: true,
      force_push_join_leave: true,
      force_positioning: true,
    }
    expect(decideSubscriptionModes(forced, undefined, NOTHING_ASKED, NO_ACCESS)).toEqual({
      presence: true,
      emitJoinLeave: true,
      pushJoinLeave: true,
      positioned: true,
      recoverable: false,
    })
  })

  test('a recoverable subscription is positioned', () => {
    const forced = { ...PLAIN, force_recovery: true }
    expect(decideSubscriptionModes(forced, undefined, NOTHING_ASKED, NO_ACCESS)).toEqual({
      ...OFF,
      positioned: true,
      recoverable: true,
    })
  })

  test('a client gets positions and recovery by the option, or by access to history', () => {
    const positioned = { ...NOTHING_ASKED, positioned: true }
    const recoverable = { ...NOTHING_ASKED, recoverable: true }
    const byOption = { ...PLAIN, allow_positioning: true, allow_recovery: true }
    for (const [options, may] of [
      [byOption, NO_ACCESS],
      [PLAIN, { history: true, presence: false }],
    ] as const) {
      expect(decideSubscriptionModes(options, undefined, positioned, may)).toEqual({
        ...OFF,
        positioned: true,
      })
      expect(decideSubscriptionModes(options, undefined, recoverable, may)).toEqual({
        ...OFF,
        positioned: true,
        recoverable: true,
      })
    }
    const onlyPositions = { ...PLAIN, allow_positioning: true }
    expect(decideSubscriptionModes(onlyPositions, undefined, recoverable, NO_ACCESS)).toEqual(OFF)
  })

  test('a client gets joins and leaves where the channel emits them and it has access to presence', () => {
    const asked = { ...NOTHING_ASKED, join_leave: true }
    const emits = { ...PLAIN, join_leave: true }
    expect(decideSubscriptionModes(emits, undefined, asked, ALL_ACCESS).pushJoinLeave).toBe(true)
    expect(decideSubscriptionModes(emits, undefined, asked, NO_ACCESS).pushJoinLeave).toBe(false)
    expect(decideSubscriptionModes(PLAIN, undefined, asked, ALL_ACCESS).pushJoinLeave).toBe(false)
  })

  test('the override of a token turns each option on and off', () => {
    const on = {
      presence: true,
      join_leave: true,
      force_push_join_leave: true,
      force_positioning: true,
      force_recovery: true,
    }
    const off = {
      presence: false,
      join_leave: false,
      force_push_join_leave: false,
      force_positioning: false,
      force_recovery: false,
    }
    const all = {
      presence: true,
      emitJoinLeave: true,
      pushJoinLeave: true,
      positioned: true,
      recoverable: true,
    }
    expect(decideSubscriptionModes(PLAIN, on, NOTHING_ASKED, NO_ACCESS)).toEqual(all)
    expect(decideSubscriptionModes({ ...PLAIN, ...on }, off, NOTHING_ASKED, NO_ACCESS)).toEqual(OFF)
    expect(decideSubscriptionModes({ ...PLAIN, ...on }, {}, NOTHING_ASKED, NO_ACCESS)).toEqual(all)
    // Turning off what the channel forces takes nothing from a client that asks and may.
    const allowed = { ...PLAIN, ...on, allow_recovery: true }
    expect(decideSubscriptionModes(allowed, off, ALL_ASKED, NO_ACCESS).recoverable).toBe(true)
  })

  test('without history nothing is positioned or recoverable, whatever forces it, and recoverable is always positioned', () => {
    const options = fc.record({
      historyEnabled: fc.boolean(),
      presence: fc.boolean(),
      join_leave: fc.boolean(),
      force_push_join_leave: fc.boolean(),
      force_positioning: fc.boolean(),
      allow_positioning: fc.boolean(),
      force_recovery: fc.boolean(),
      allow_recovery: fc.boolean(),
    })
    const override = fc.record(
      { force_positioning: fc.boolean(), force_recovery: fc.boolean() },
      { requiredKeys: [] },
    )
    const asked = fc.record({ positioned: fc.boolean(), recoverable: fc.boolean(), join_leave: fc.boolean() })
    const may = fc.record({ history: fc.boolean(), presence: fc.boolean() })
    fc.assert(
      fc.property(options, override, asked, may, (channel, overridden, wishes, access) => {
        const modes = decideSubscriptionModes(channel, overridden, wishes, access)
        if (modes.recoverable) expect(modes.positioned).toBe(true)
        if (!channel.historyEnabled) expect(modes.positioned).toBe(false)
      }),
    )
  })
})
