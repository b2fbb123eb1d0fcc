// The values that labels of metrics may have: closed lists, so that what clients send can never add a series.
// Any thread. A new drop reason, place or code is one more word here; its slots follow by themselves.

export const transports = ['websocket', 'tcp'] as const

/** The commands of the client protocol; `pong` is the empty command, `unknown` one with none of these. */
export const commands = [
  'connect',
  'refresh',
  'subscribe',
  'unsubscribe',
  'sub_refresh',
  'publish',
  'history',
  'presence',
  'presence_stats',
  'rpc',
  'send',
  'ping',
  'pong',
  'unknown',
] as const

export const commandOutcomes = ['ok', 'error', 'disconnect'] as const

/** The paths under /api/; `unknown` is any other path there. */
export const apiMethods = [
  'publish',
  'broadcast',
  'subscribe',
  'unsubscribe',
  'message',
  'disconnect',
  'refresh',
  'presence',
  'presence_stats',
  'history',
  'history_remove',
  'channels',
  'info',
  'batch',
  'unknown',
] as const

/** `error`: the method answered with an error; `refused`: not read at all (too large, too many, draining). */
export const apiOutcomes = ['ok', 'error', 'unauthorized', 'refused'] as const

export const publicationSources = ['client', 'api', 'messenger'] as const

export const dropReasons = [
  'drop_oldest',
  'latest_only',
  'join_leave_ring_full',
  'lagging_join_leave',
  'subscription_ended',
  'slow_disconnected',
  'lagging_without_offset',
] as const

export const disconnectCodes = [
  '3000',
  '3001',
  '3004',
  '3005',
  '3006',
  '3008',
  '3009',
  '3010',
  '3011',
  '3012',
  '3013',
  '3014',
  '3500',
  '3501',
  '3502',
  '3503',
  '3504',
  '3505',
  '3506',
  '3507',
  '3508',
  '3509',
  '4500',
  '4501',
  'other',
] as const

export const unsubscribeCodes = ['2000', '2500', '2501', 'other'] as const

export const errorCodes = [
  '100',
  '101',
  '102',
  '103',
  '104',
  '105',
  '106',
  '107',
  '108',
  '109',
  '110',
  '111',
  '112',
  'other',
] as const

export const catchUpOutcomes = ['complete', 'insufficient'] as const

export const tables = ['route', 'presence'] as const

export const guardPlaces = ['websocket', 'tcp', 'http', 'timer', 'ring'] as const

export const refusalReasons = [
  'origin',
  'connection_limit',
  'connection_rate',
  'user_limit',
  'draining',
] as const

/** `refused`: by an error that is the caller's to mend; `failed`: by one that is ours. */
export const callOutcomes = ['ok', 'refused', 'failed'] as const

export const loginOutcomes = ['ok', 'refused'] as const
