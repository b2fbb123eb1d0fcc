// The texts that publishers send and subscribers get, byte for byte the same for every server.

import { clientInfo, publication, publicationPush } from '../../src/protocol/replies.ts'

export const PAYLOAD_BYTES = 128

/** A JSON text of exactly so many bytes. */
const DATA = JSON.stringify('x'.repeat(PAYLOAD_BYTES - 2))
/** As long as the client ids of the relay. */
const CLIENT = '00000000-0000-4000-8000-000000000000'

export type Target = 'relay' | 'raw'

/** All names have the same length, and so have all lines. */
export function channelName(index: number): string {
  return `bench${String(index).padStart(5, '0')}`
}

/** What one publication is to a subscriber, as long as it has no offset. */
export function deliveredLine(channel: string): string {
  const info = clientInfo(CLIENT, '""', undefined, undefined)
  return publicationPush(JSON.stringify(channel), publication(DATA, 0, info, undefined))
}

export function connectCommand(target: Target): string | undefined {
  return target === 'relay' ? '{"id":1,"connect":{}}' : undefined
}

/** Answered with a line that has SUBSCRIBED in it. */
export function subscribeCommand(target: Target, channel: string): string {
  return target === 'relay' ? `{"id":2,"subscribe":{"channel":"${channel}"}}` : `${RAW_SUBSCRIBE}${channel}`
}

export const SUBSCRIBED = '"id":2,"subscribe":'
export const CONNECTED = '"id":1,"connect":'

/** The raw server's two commands: a letter and the channel, and for a publication the line after it. */
export const RAW_SUBSCRIBE = 'S'
export const RAW_PUBLISH = 'P'
export const CHANNEL_LENGTH = channelName(0).length

export function publishCommand(target: Target, id: number, channel: string, line: string): string {
  if (target === 'raw') return `${RAW_PUBLISH}${channel}${line}`
  return `{"id":${id},"publish":{"channel":"${channel}","data":${DATA}}}`
}
