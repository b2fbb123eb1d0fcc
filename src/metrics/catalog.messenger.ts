// The part of the catalog that is about the messenger: numbers of its thread, where there is one. Plain data, any thread.

import * as values from './label-values.ts'
import { latencyBoundsSeconds, type Metric } from './metric.ts'

export const messengerMetrics = {
  messengerCalls: {
    kind: 'counter',
    name: 'fanwire_messenger_calls_total',
    unit: 'count',
    help: 'Calls of methods of the messenger: answered, refused for a reason of the caller, or failed.',
    labels: [['outcome', values.callOutcomes]],
  },
  messengerLogins: {
    kind: 'counter',
    name: 'fanwire_messenger_logins_total',
    unit: 'count',
    help: 'Tries to log in, by what they got.',
    labels: [['outcome', values.loginOutcomes]],
  },
  messengerMessages: {
    kind: 'counter',
    name: 'fanwire_messenger_messages_total',
    unit: 'count',
    help: 'Messages stored.',
  },
  messengerCommits: {
    kind: 'counter',
    name: 'fanwire_messenger_commits_total',
    unit: 'count',
    help: 'Transactions of the messenger that are durable; each holds all calls of one turn of its loop.',
  },
  messengerCommitSeconds: {
    kind: 'histogram',
    name: 'fanwire_messenger_commit_seconds',
    unit: 'seconds',
    help: 'From the begin of a transaction to the moment at which it is durable.',
    bounds: latencyBoundsSeconds,
  },
  messengerWaitingCalls: {
    kind: 'gauge',
    name: 'fanwire_messenger_waiting_calls',
    unit: 'count',
    help: 'Calls that wait for their transaction.',
  },
  messengerUndelivered: {
    kind: 'gauge',
    name: 'fanwire_messenger_undelivered',
    unit: 'count',
    help: 'Publications of stored changes that wait for the home of their channel.',
  },
  messengerPoolWaiting: {
    kind: 'gauge',
    name: 'fanwire_messenger_pool_waiting',
    unit: 'count',
    help: 'Tasks that wait for a thread of the pool.',
  },
  messengerLoopUtilization: {
    kind: 'gauge',
    name: 'fanwire_messenger_loop_utilization',
    unit: 'ratio',
    help: "Share of the last sampling interval in which the loop of the messenger's thread was busy, 0 to 1.",
  },
  messengerStorageBytes: {
    kind: 'gauge',
    name: 'fanwire_messenger_storage_bytes',
    unit: 'bytes',
    help: 'Bytes of all files that the messenger keeps; the database is not among them.',
  },
  messengerReplacements: {
    kind: 'counter',
    name: 'fanwire_messenger_replacements_total',
    unit: 'count',
    help: 'Times that the messenger had ended and was started again; tries that failed count as well.',
  },
  messengerOnlineUsers: {
    kind: 'gauge',
    name: 'fanwire_messenger_online_users',
    unit: 'count',
    help: 'Users who count as online.',
  },
} as const satisfies Record<string, Metric>
