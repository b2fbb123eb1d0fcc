// Names of the relay's channels that the messenger publishes to. Any thread. Clients can't subscribe to them by
// themselves: the server does it when they connect. All are in the namespace MESSENGER_NAMESPACE (config/).

/** What happens in a conversation. */
export function conversationChannel(conversation: number): string {
  return `im:c:${conversation}`
}

/** What concerns one user alone, on all devices. */
export function userChannel(user: number): string {
  return `im:u:${user}`
}

/** Who came online and who went, in batches. */
export const PRESENCE_CHANNEL = 'im:presence'
