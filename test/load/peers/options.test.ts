// The command line of the comparison.

import { expect, test } from 'vitest'
import { peers } from '../../../load/peers/list.ts'
import { parsePeersOptions, peersHelp } from '../../../load/peers/options.ts'

const parse = (...argv: string[]) => parsePeersOptions(argv, peers)

test('without arguments everything is compared with raw uWebSockets.js', () => {
  expect(parse()).toMatchObject({
    peers,
    parts: ['cost', 'knee', 'memory'],
    rounds: 3,
    secondsEach: 5,
    kneeP99Ms: 100,
  })
  expect(peers[0]!.name).toBe('uwebsockets')
})

test('takes some of the peers, in the order in which they are named', () => {
  const options = parse('--only', 'ws,fanwire', '--rounds', '2', '--parts', 'memory', '--connections', '10')
  expect(options).toMatchObject({ rounds: 2, parts: ['memory'], idleConnections: 10 })
  expect((options as { peers: typeof peers }).peers.map(({ name }) => name)).toEqual(['ws', 'fanwire'])
})

test.each([
  [['--only', 'fanwir'], /--only: "fanwir" is not one of .*; the nearest is fanwire/],
  [['--rounds', '0'], /--rounds: "0" is not allowed; it must be a whole number from 1 to 100/],
  [['--seconds', 'ten'], /--seconds: "ten"/],
  [['--parts', 'cpu'], /--parts: "cpu" is not one of cost, knee, memory/],
  [['--what'], /--what/],
])('refuses %j with what would be allowed', (argv, message) => {
  expect(() => parse(...argv)).toThrow(message)
})

test('the help names all peers and flags', () => {
  const help = peersHelp(peers)
  for (const { name } of peers) expect(help).toContain(name)
  expect(parse('--help')).toBe('help')
})
