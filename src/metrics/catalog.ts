// The catalog: every metric of the program, with its kind, unit, help and labels. Plain data, any thread.
// Invariant: what is not here is not exported; the key is the name in camel case without fanwire_ and _total.

import { messengerMetrics } from './catalog.messenger.ts'
import * as values from './label-values.ts'
import { latencyBoundsSeconds, type Metric, type MetricUnit } from './metric.ts'

export const catalog = {
  // What is open.
  connections: {
    kind: 'gauge',
    name: 'fanwire_connections',
    unit: 'count',
    help: 'Open connections.',
    labels: [['transport', values.transports]],
    perShard: true,
  },
  sessions: {
    kind: 'gauge',
    name: 'fanwire_sessions',
    unit: 'count',
    help: 'Sessions that are live: connected and authenticated.',
    perShard: true,
  },
  subscriptions: {
    kind: 'gauge',
    name: 'fanwire_subscriptions',
    unit: 'count',
    help: 'Subscriptions of live sessions.',
    perShard: true,
  },
  channels: {
    kind: 'gauge',
    name: 'fanwire_channels',
    unit: 'count',
    help: 'Channels that are at home on the shard.',
    perShard: true,
  },

  // What comes in.
  commands: {
    kind: 'counter',
    name: 'fanwire_commands_total',
    unit: 'count',
    help: 'Commands of clients, by what they got.',
    labels: [
      ['command', values.commands],
      ['outcome', values.commandOutcomes],
    ],
  },
  apiRequests: {
    kind: 'counter',
    name: 'fanwire_api_requests_total',
    unit: 'count',
    help: 'Requests to the HTTP API, by what they got.',
    labels: [
      ['method', values.apiMethods],
      ['outcome', values.apiOutcomes],
    ],
  },
  publications: {
    kind: 'counter',
    name: 'fanwire_publications_total',
    unit: 'count',
    help: 'Publications accepted at the home of their channel.',
    labels: [['source', values.publicationSources]],
  },
  receivedBytes: {
    kind: 'counter',
    name: 'fanwire_received_bytes_total',
    unit: 'bytes',
    help: 'Bytes of frames and lines received from clients.',
    labels: [['transport', values.transports]],
  },
  connectionsRefused: {
    kind: 'counter',
    name: 'fanwire_connections_refused_total',
    unit: 'count',
    help: 'Connections refused before they had a session, by reason.',
    labels: [['reason', values.refusalReasons]],
  },

  // What goes out. deliveries / frames_sent tells how many publications one frame carries.
  deliveries: {
    kind: 'counter',
    name: 'fanwire_deliveries_total',
    unit: 'count',
    help: 'Publications sent, counted once for each subscriber.',
    labels: [['transport', values.transports]],
  },
  sentBytes: {
    kind: 'counter',
    name: 'fanwire_sent_bytes_total',
    unit: 'bytes',
    help: 'Bytes of frames and lines given to the sockets.',
    labels: [['transport', values.transports]],
  },
  framesSent: {
    kind: 'counter',
    name: 'fanwire_frames_sent_total',
    unit: 'count',
    help: 'Frames given to the sockets; one may join many replies and publications.',
    labels: [['transport', values.transports]],
  },
  flushes: {
    kind: 'counter',
    name: 'fanwire_flushes_total',
    unit: 'count',
    help: 'Ticks that sent something.',
  },
  loopTurnSeconds: {
    kind: 'gauge',
    name: 'fanwire_loop_turn_seconds',
    unit: 'seconds',
    help: 'When the loop of the shard turned last, by the monotonic clock of the machine.',
    perShard: true,
  },
  flushDelaySeconds: {
    kind: 'gauge',
    name: 'fanwire_flush_delay_seconds',
    unit: 'seconds',
    help: 'How long the shard lets joined frames wait at this moment.',
    perShard: true,
  },
  framePublications: {
    kind: 'histogram',
    name: 'fanwire_frame_publications',
    unit: 'count',
    help: 'Publications joined into one frame, of frames with at least one.',
    bounds: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000],
  },
  fanoutSize: {
    kind: 'histogram',
    name: 'fanwire_fanout_size',
    unit: 'count',
    help: 'Recipients of a publication on one shard; observed once per publication and shard with recipients.',
    bounds: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000],
  },
  firstRecipientSeconds: {
    kind: 'histogram',
    name: 'fanwire_first_recipient_seconds',
    unit: 'seconds',
    help:
      'From the acceptance of a publication at its home to the send to the first recipient on a shard; ' +
      'observed once per publication and shard with recipients.',
    bounds: latencyBoundsSeconds,
  },
  lastRecipientSeconds: {
    kind: 'histogram',
    name: 'fanwire_last_recipient_seconds',
    unit: 'seconds',
    help:
      'From the acceptance of a publication at its home to the send to the last recipient on a shard; ' +
      'observed once per publication and shard with recipients.',
    bounds: latencyBoundsSeconds,
  },

  // What went wrong for clients, and why.
  drops: {
    kind: 'counter',
    name: 'fanwire_drops_total',
    unit: 'count',
    help: 'Publications, joins and leaves that a subscriber did not get, by reason.',
    labels: [['reason', values.dropReasons]],
  },
  disconnects: {
    kind: 'counter',
    name: 'fanwire_disconnects_total',
    unit: 'count',
    help: 'Ended connections, by the code of the client protocol.',
    labels: [['code', values.disconnectCodes]],
  },
  unsubscribes: {
    kind: 'counter',
    name: 'fanwire_unsubscribes_total',
    unit: 'count',
    help: 'Unsubscribe pushes of the server, by code.',
    labels: [['code', values.unsubscribeCodes]],
  },
  errors: {
    kind: 'counter',
    name: 'fanwire_errors_total',
    unit: 'count',
    help: 'Error replies to clients, by code.',
    labels: [['code', values.errorCodes]],
  },

  // Slow clients.
  laggingConnections: {
    kind: 'gauge',
    name: 'fanwire_lagging_connections',
    unit: 'count',
    help: 'Connections past the soft limit of their outbox at this moment.',
    perShard: true,
  },
  outboxBytes: {
    kind: 'gauge',
    name: 'fanwire_outbox_bytes',
    unit: 'bytes',
    help: 'Bytes that wait for lagging connections.',
    perShard: true,
  },
  catchUps: {
    kind: 'counter',
    name: 'fanwire_catch_ups_total',
    unit: 'count',
    help: 'Ends of catching up in a channel: complete, or insufficient because the history no longer reached back.',
    labels: [['outcome', values.catchUpOutcomes]],
  },
  caughtUpPublications: {
    kind: 'counter',
    name: 'fanwire_caught_up_publications_total',
    unit: 'count',
    help: 'Publications replayed from history to connections that had lagged.',
  },

  // Between shards.
  ringUsedBytes: {
    kind: 'gauge',
    name: 'fanwire_ring_used_bytes',
    unit: 'bytes',
    help: 'Bytes in the outgoing rings of the shard that their readers have not taken.',
    perShard: true,
  },
  ringFull: {
    kind: 'counter',
    name: 'fanwire_ring_full_total',
    unit: 'count',
    help: 'Writes that found a ring full.',
  },
  ringBacklogBytes: {
    kind: 'gauge',
    name: 'fanwire_ring_backlog_bytes',
    unit: 'bytes',
    help: 'Bytes that wait before full rings.',
  },
  ringFrames: {
    kind: 'counter',
    name: 'fanwire_ring_frames_total',
    unit: 'count',
    help: 'Frames written to rings.',
  },
  doorbellWakes: {
    kind: 'counter',
    name: 'fanwire_doorbell_wakes_total',
    unit: 'count',
    help: 'Wakes of a sleeping thread by its doorbell, counted by who rang.',
  },

  // The health of the shards.
  eventLoopUtilization: {
    kind: 'gauge',
    name: 'fanwire_event_loop_utilization',
    unit: 'ratio',
    help: 'Share of the last sampling interval in which the event loop was busy, 0 to 1.',
    perShard: true,
  },
  eventLoopDelaySeconds: {
    kind: 'gauge',
    name: 'fanwire_event_loop_delay_seconds',
    unit: 'seconds',
    help: 'Longest delay of the event loop in the last sampling interval.',
    perShard: true,
  },
  historyBytes: {
    kind: 'gauge',
    name: 'fanwire_history_bytes',
    unit: 'bytes',
    help: 'Bytes in the history windows of the channels at home on the shard.',
    perShard: true,
  },
  historyPublications: {
    kind: 'gauge',
    name: 'fanwire_history_publications',
    unit: 'count',
    help: 'Publications in the history windows of the channels at home on the shard.',
    perShard: true,
  },
  tableRefusals: {
    kind: 'counter',
    name: 'fanwire_table_refusals_total',
    unit: 'count',
    help: 'New entries refused because a shared table was full.',
    labels: [['table', values.tables]],
  },
  quarantines: {
    kind: 'counter',
    name: 'fanwire_quarantines_total',
    unit: 'count',
    help: 'Shards, and messengers, taken out of service and replaced.',
  },
  guardErrors: {
    kind: 'counter',
    name: 'fanwire_guard_errors_total',
    unit: 'count',
    help: 'Errors caught by the guard around callbacks of libraries, by place.',
    labels: [['place', values.guardPlaces]],
  },

  ...messengerMetrics,
} as const satisfies Record<string, Metric>

export type MainGauge = {
  readonly name: string
  readonly unit: MetricUnit
  readonly help: string
  readonly labelNames?: readonly string[]
}

/** Gauges without slots: main reads them itself at a scrape (the exporter asks for a reader of each). */
export const mainGauges = {
  tableUsed: {
    name: 'fanwire_table_used',
    unit: 'count',
    help: 'Entries in a shared table.',
    labelNames: ['table'],
  },
  tableCapacity: {
    name: 'fanwire_table_capacity',
    unit: 'count',
    help: 'Entries for which a shared table has room.',
    labelNames: ['table'],
  },
  shards: { name: 'fanwire_shards', unit: 'count', help: 'Shards in service.' },
  ready: { name: 'fanwire_ready', unit: 'count', help: 'Whether /ready says 200: 1 or 0.' },
  clockSeconds: {
    name: 'fanwire_clock_seconds',
    unit: 'seconds',
    help: 'The monotonic clock at the scrape: less fanwire_loop_turn_seconds, how long ago a loop turned.',
  },
  connectionLimit: {
    name: 'fanwire_connection_limit',
    unit: 'count',
    help: 'Connections that the relay takes at most; 0: no limit.',
  },
  historyLimitBytes: {
    name: 'fanwire_history_limit_bytes',
    unit: 'bytes',
    help: 'Bytes that the histories of all shards may take together; each shard has an equal part.',
  },
  messengerStorageLimitBytes: {
    name: 'fanwire_messenger_storage_limit_bytes',
    unit: 'bytes',
    help: 'Bytes that all files of the messenger may take together; 0: there is no messenger.',
  },
  uptimeSeconds: {
    name: 'fanwire_uptime_seconds',
    unit: 'seconds',
    help: 'Time since the start of the relay.',
  },
  buildInfo: {
    name: 'fanwire_build_info',
    unit: 'info',
    help: 'Always 1; the labels tell the version of the relay and of Node.',
    labelNames: ['version', 'node'],
  },
} as const satisfies Record<string, MainGauge>

/** The names of all series of the catalog as queries use them: a histogram has three. */
export const seriesNames: readonly string[] = [
  ...Object.values<Metric>(catalog),
  ...Object.values(mainGauges),
].flatMap(metric =>
  'kind' in metric && metric.kind === 'histogram'
    ? [`${metric.name}_bucket`, `${metric.name}_sum`, `${metric.name}_count`]
    : [metric.name],
)
