// One to one: each subscriber has a channel of its own, and clients publish to it, each publication acknowledged.

import type { Scenario } from '../scenario.ts'
import { loadOnce, SMOKE, transportOf, USUAL } from './plan.ts'

export const direct: Scenario = {
  name: 'direct',
  question: 'What does a message from one client to one other cost, most of them from shard to shard?',
  // A lane carries 200 channels: with enough connections the relay has publishers on every shard.
  defaults: { ...USUAL, rate: 5000, publish: 'client', publishers: 100 },
  smoke: { ...SMOKE, publishers: 4 },
  recoverable: false,
  promises: 'complete',
  hasKnee: true,
  ignores: ['channels'],
  async run(stage) {
    const { subscribers, transport } = stage.load
    await loadOnce(
      stage,
      Array.from({ length: subscribers }, (_, index) => ({
        transport: transportOf(transport, index),
        channels: [index],
      })),
    )
    stage.remark(
      'Which shard a connection or a channel is on can not be seen from outside. Connections are dealt out evenly and ' +
        'homes chosen by hash, so with n shards publisher and subscriber share one for about 1 of n pairs, and only ' +
        '1 of n² have the home of the channel there, too.',
    )
  },
}
