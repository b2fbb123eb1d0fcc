// Many channels of 10 to 50 members, each subscriber in several of them: chats, games, documents.

import { shuffled } from '../random.ts'
import type { Scenario, Stage, Subscriber } from '../scenario.ts'
import { loadOnce, SMOKE, transportOf, USUAL } from './plan.ts'

const MEMBERS_MIN = 10
const MEMBERS_MAX = 50
/** The relay's default limit of a connection is 128 subscriptions. */
const ROOMS_OF_SUBSCRIBER_MAX = 100

export const rooms: Scenario = {
  name: 'rooms',
  question: 'How does it do with many channels of 10 to 50 members, each client in several?',
  defaults: { ...USUAL, channels: 200, rate: 1000 },
  smoke: { ...SMOKE, subscribers: 60, channels: 8 },
  recoverable: false,
  promises: 'complete',
  hasKnee: true,
  async run(stage) {
    const subscribers = planRooms(stage)
    const memberships = subscribers.reduce((count, { channels }) => count + channels.length, 0)
    stage.find({
      key: 'rooms_members_mean',
      label: 'Members of a room, mean',
      value: memberships / stage.load.channels,
      unit: 'count',
    })
    await loadOnce(stage, subscribers)
  },
}

/** Sizes and members come from the seed. Nobody is without a room. */
function planRooms({ load, random }: Stage): Subscriber[] {
  const roomsOf = Array.from({ length: load.subscribers }, (): number[] => [])
  for (let room = 0; room < load.channels; room++) {
    const size = MEMBERS_MIN + Math.floor(random() * (MEMBERS_MAX - MEMBERS_MIN + 1))
    const order = shuffled(load.subscribers, random)
    for (const member of order.subarray(0, size)) {
      if (roomsOf[member]!.length < ROOMS_OF_SUBSCRIBER_MAX) roomsOf[member]!.push(room)
    }
  }
  return roomsOf.map((channels, index) => ({
    transport: transportOf(load.transport, index),
    channels: channels.length > 0 ? channels : [Math.floor(random() * load.channels)],
  }))
}
