// A shard was lost and replaced: what its channels meant to the sessions here. Runs on every other shard.

import { clientInfo } from '../protocol/replies.ts'
import type { SessionEnv } from './port.ts'
import { loseState } from './subscriptions.ts'

/**
 * Channels with history start a new epoch, so their subscribers subscribe again and learn that they may have missed
 * something. The others go on as if nothing had happened; the new home learns who is in them.
 */
export function onHomeReplaced(env: SessionEnv, shard: number): void {
  for (const channel of env.registry.atHomeOn(shard)) {
    channel.epoch = ''
    channel.topOffset = 0
  }
  for (const session of [...env.sessions.all]) {
    const live = session.state
    if (live.kind !== 'live') continue
    for (const subscription of [...live.subscriptions.values()]) {
      const { subscriber, modes, state, channelInfo } = subscription
      const { channel } = subscriber
      if (channel.home !== shard || state !== 'live') continue
      if (channel.options.historyEnabled) {
        loseState(session, live, subscription)
      } else if (modes.presence || modes.emitJoinLeave) {
        env.directory.tell('restore', {
          channel: channel.name,
          client: live.client,
          user: live.identity.user,
          info: clientInfo(live.client, live.identity.userJson, live.identity.info, channelInfo),
          presence: modes.presence,
          emitsJoinLeave: modes.emitJoinLeave,
        })
      }
    }
  }
}
