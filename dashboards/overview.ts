// The dashboard "fanwire / overview": five numbers on top, below them one row for each question that an operator has.
// Runs at build time. Invariant: no recording rule is needed, so that it works with any Prometheus that scrapes a relay.

import { identity, queues, room, shards } from './machine.ts'
import { messenger } from './messenger.ts'
import type { Dashboard, Panel, Row } from './panels.ts'
import { HERE, HERE_BY_SHARD, perShard, type Query, ratesOver, SHARD_LEGEND } from './queries.ts'
import { annotations, variables } from './variables.ts'

const RATE = '$__rate_interval'
const { rateOf, meanOf, quantileOf } = ratesOver(RATE)

/** One line for each value of a label. */
function ratesBy(label: string, counter: string): Query {
  return [rateOf(counter, label), `{{${label}}}`]
}

const top: readonly Panel[] = [
  {
    kind: 'stat',
    title: 'Connections',
    description:
      'Open connections of all transports. A sudden fall is a network, a proxy or a relay that is gone; a fall to a ' +
      'half that comes back is a shard that was replaced.',
    unit: 'short',
    width: 5,
    queries: [[`sum(fanwire_connections{${HERE}})`, '']],
  },
  {
    kind: 'stat',
    title: 'Deliveries',
    description:
      'Publications sent per second, counted once for each subscriber: the work that the relay does. Publications ' +
      'without deliveries have no subscribers, or the subscribers are on another relay.',
    unit: 'cps',
    width: 5,
    queries: [[rateOf('fanwire_deliveries_total'), '']],
  },
  {
    kind: 'stat',
    title: 'p99 to the last recipient',
    description:
      'Of 100 publications, 99 were sent to their last subscriber on a shard within this time of their acceptance. ' +
      'Above your goal: look at "Is a shard full?". No data: nothing was delivered.',
    unit: 's',
    width: 5,
    queries: [[quantileOf(0.99, 'fanwire_last_recipient_seconds'), '']],
    thresholds: [
      { from: 0.1, color: 'orange' },
      { from: 0.25, color: 'red' },
    ],
  },
  {
    kind: 'stat',
    title: 'Busiest shard',
    description:
      'Share of time in which the busiest event loop did something. Above one half frames are held back to be joined; ' +
      'near 1 latency rises. More shards, more machines, or fewer publications.',
    unit: 'percentunit',
    width: 5,
    queries: [[`max(avg_over_time(fanwire_event_loop_utilization{${HERE}}[${RATE}]))`, '']],
    thresholds: [
      { from: 0.7, color: 'orange' },
      { from: 0.9, color: 'red' },
    ],
  },
  {
    kind: 'stat',
    title: 'Missed',
    description:
      'Publications, joins and leaves per second that subscribers did not get. Policies of channels without history ' +
      'may drop on purpose: the reasons are below, in "Does anybody miss something?".',
    unit: 'cps',
    width: 4,
    queries: [[rateOf('fanwire_drops_total'), '']],
    thresholds: [{ from: 0.001, color: 'orange' }],
  },
]

const flow: Row = {
  title: 'What flows, and how fast?',
  collapsed: false,
  panels: [
    {
      kind: 'stacked',
      title: 'Publications by source',
      description:
        'Accepted at the home of their channel, per second: from clients, from back ends through the API, and ' +
        'from the messenger. What is refused is in "What is refused, what fails?".',
      unit: 'cps',
      queries: [ratesBy('source', 'fanwire_publications_total')],
    },
    {
      kind: 'stacked',
      title: 'Deliveries by transport',
      description:
        'Publications sent per second, once for each subscriber. Falls while publications stay: subscribers left, or ' +
        'they lag.',
      unit: 'cps',
      queries: [ratesBy('transport', 'fanwire_deliveries_total')],
    },
    {
      kind: 'lines',
      title: 'Time to the first and last recipient',
      description:
        'From the acceptance of a publication to the send to its first and last subscriber on a shard. First and last ' +
        'far apart: large audiences, or frames held back by a busy shard. The network to the client is not in it.',
      unit: 's',
      queries: [
        [quantileOf(0.5, 'fanwire_first_recipient_seconds'), 'first, p50'],
        [quantileOf(0.99, 'fanwire_first_recipient_seconds'), 'first, p99'],
        [quantileOf(0.5, 'fanwire_last_recipient_seconds'), 'last, p50'],
        [quantileOf(0.99, 'fanwire_last_recipient_seconds'), 'last, p99'],
      ],
      thresholds: [{ from: 0.25, color: 'red' }],
    },
    {
      kind: 'lines',
      title: 'Subscribers of a publication',
      description:
        'Recipients of a publication on one shard. Deliveries are publications times this: it tells whether load grows ' +
        'by more messages or by larger channels.',
      unit: 'short',
      queries: [
        [meanOf('fanwire_fanout_size'), 'mean'],
        [quantileOf(0.99, 'fanwire_fanout_size'), 'p99'],
      ],
    },
    {
      kind: 'lines',
      title: 'Publications joined in a frame',
      description:
        'How many publications one send carries. Rising with the load is good: a busy relay does more work per system ' +
        'call. Always 1 at a high load: flush_delay_max is 0, or each client gets little.',
      unit: 'short',
      queries: [
        [meanOf('fanwire_frame_publications'), 'mean'],
        [quantileOf(0.99, 'fanwire_frame_publications'), 'p99'],
      ],
    },
    {
      kind: 'lines',
      title: 'Bytes in and out',
      description:
        'Bytes of frames and lines per second, as given to and taken from sockets. Near the speed of the network ' +
        'interface clients begin to lag.',
      unit: 'Bps',
      queries: [
        [rateOf('fanwire_received_bytes_total', 'transport'), 'in, {{transport}}'],
        [rateOf('fanwire_sent_bytes_total', 'transport'), 'out, {{transport}}'],
      ],
    },
  ],
}

const clients: Row = {
  title: 'Who is connected?',
  collapsed: true,
  panels: [
    {
      kind: 'stacked',
      title: 'Connections by transport',
      description: 'Open connections over WebSocket and raw TCP, over all shards.',
      unit: 'short',
      queries: [[`sum by (transport) (fanwire_connections{${HERE}})`, '{{transport}}']],
    },
    {
      kind: 'lines',
      title: 'Connections by shard',
      description:
        'They should be about equal. A shard that was replaced begins at zero and fills as clients come; one that stays ' +
        'empty takes no connections: look at /ready.',
      unit: 'short',
      queries: [[`sum by (instance, shard) (fanwire_connections{${HERE_BY_SHARD}})`, SHARD_LEGEND]],
    },
    {
      kind: 'lines',
      title: 'Sessions, subscriptions, channels',
      description:
        'Live sessions, their subscriptions, and channels at home here. Connections far above sessions: clients that do ' +
        'not authenticate. Channels that only grow fill the route table.',
      unit: 'short',
      queries: [
        [`sum(fanwire_sessions{${HERE}})`, 'sessions'],
        [`sum(fanwire_connections{${HERE}})`, 'connections'],
        [`sum(fanwire_subscriptions{${HERE}})`, 'subscriptions'],
        [`sum(fanwire_channels{${HERE}})`, 'channels'],
      ],
    },
    {
      kind: 'lines',
      title: 'Connections of what is taken',
      description:
        'Share of client.connection_limit, or of what the open files bear. At 1 new clients get 503 (TCP: 3504). Raise ' +
        'LimitNOFILE or the limit, or add a relay.',
      unit: 'percentunit',
      queries: [
        [
          `sum by (instance) (fanwire_connections{${HERE}}) / on (instance) (fanwire_connection_limit{${HERE}} > 0)`,
          '{{instance}}',
        ],
      ],
      thresholds: [{ from: 0.9, color: 'red' }],
      max: 1,
    },
    {
      kind: 'lines',
      title: 'Ends of connections by code',
      description:
        'Per second. 3000: the client closed. 3001 drain, 3004 replaced shard, 3008 slow, 3012 no pong, 3013 too many ' +
        'requests, 3500 token, 3501 bad request. The codes are in the page on the client protocol.',
      unit: 'cps',
      queries: [ratesBy('code', 'fanwire_disconnects_total')],
    },
    {
      kind: 'lines',
      title: 'Refused connections by reason',
      description:
        'Before a session, per second. origin: a page or proxy that is not configured. connection_limit, ' +
        'connection_rate and user_limit: options of yours. draining: the relay stops.',
      unit: 'cps',
      queries: [ratesBy('reason', 'fanwire_connections_refused_total')],
    },
  ],
}

const slowClients: Row = {
  title: 'Does anybody miss something?',
  collapsed: true,
  panels: [
    {
      kind: 'lines',
      title: 'Drops by reason',
      description:
        'Per second. drop_oldest and latest_only: the policy of the channel. lagging_without_offset: published with ' +
        'skip_history. join_leave: joins and leaves, of which no history is kept. Anything else: a subscriber was cut off.',
      unit: 'cps',
      queries: [ratesBy('reason', 'fanwire_drops_total')],
    },
    {
      kind: 'lines',
      title: 'Lagging connections by shard',
      description:
        'Connections past the soft limit of their outbox now. A few are usual on mobile networks. Many at once: the ' +
        'network out of this machine, or more traffic than clients can read.',
      unit: 'short',
      queries: [perShard('fanwire_lagging_connections')],
    },
    {
      kind: 'lines',
      title: 'Bytes waiting in outboxes by shard',
      description:
        'What waits for lagging connections. Bounded by client.queue_max_size for each; growing with a steady number of ' +
        'lagging connections means that they read nothing.',
      unit: 'bytes',
      queries: [perShard('fanwire_outbox_bytes')],
    },
    {
      kind: 'lines',
      title: 'Ends of catching up',
      description:
        'Per second: complete, or insufficient because the history no longer reached back. Insufficient: a larger ' +
        'history_size or history_ttl, or more channel.history_memory_limit.',
      unit: 'cps',
      queries: [ratesBy('outcome', 'fanwire_catch_ups_total')],
    },
    {
      kind: 'lines',
      title: 'Replayed publications',
      description:
        'Publications per second that were sent from history to connections that had lagged. High beside few catch-ups: ' +
        'long ones. It costs the shard as much as a delivery.',
      unit: 'cps',
      queries: [[rateOf('fanwire_caught_up_publications_total'), 'replayed']],
    },
    {
      kind: 'lines',
      title: 'Unsubscribes by code',
      description:
        'By the relay, per second. 2500: insufficient state, after a lost home or a catch-up that did not reach back. ' +
        '2501: an expired subscription. 2000: asked for by the API.',
      unit: 'cps',
      queries: [ratesBy('code', 'fanwire_unsubscribes_total')],
    },
  ],
}

const failures: Row = {
  title: 'What is refused, what fails?',
  collapsed: true,
  panels: [
    {
      kind: 'lines',
      title: 'Error replies by code',
      description:
        'To commands of clients, per second. 100: an error of ours, or a home that is replaced. 106: a limit or a full ' +
        'table. 111: full queues between shards. 102, 103, 107, 108: what clients ask for wrongly.',
      unit: 'cps',
      queries: [ratesBy('code', 'fanwire_errors_total')],
    },
    {
      kind: 'lines',
      title: 'Commands by outcome',
      description:
        'Commands of clients per second, by command and what it got. A rise of one of them is a client that loops.',
      unit: 'cps',
      queries: [[rateOf('fanwire_commands_total', 'command, outcome'), '{{command}} {{outcome}}']],
    },
    {
      kind: 'lines',
      title: 'API requests by outcome',
      description:
        'Of back ends, per second. unauthorized: the key. error: the method said no. refused: not read at all (too ' +
        'large, too many, draining, an unknown method).',
      unit: 'reqps',
      queries: [[rateOf('fanwire_api_requests_total', 'method, outcome'), '{{method}} {{outcome}}']],
    },
    {
      kind: 'lines',
      title: 'Failures of the relay itself',
      description:
        'Replaced shards, and errors that a guard caught, per second. Any of them is a fault: the log has it, with the ' +
        'place.',
      unit: 'cps',
      queries: [
        [rateOf('fanwire_quarantines_total'), 'quarantines'],
        [rateOf('fanwire_guard_errors_total', 'place'), 'guard, {{place}}'],
      ],
    },
    {
      kind: 'lines',
      title: 'Ready, and shards in service',
      description:
        'Ready is 1 while the relay takes connections. Shards fall by one while one is replaced, for a moment; longer ' +
        'means that it fails again at once.',
      unit: 'short',
      queries: [
        [`fanwire_ready{${HERE}}`, '{{instance}} ready'],
        [`fanwire_shards{${HERE}}`, '{{instance}} shards'],
      ],
    },
    {
      kind: 'lines',
      title: 'Refused places in the tables',
      description:
        'New channels or users per second that found a shared table full and got error 106. Raise ' +
        'route_table.capacity or presence_table.capacity, or shorten history_meta_ttl.',
      unit: 'cps',
      queries: [ratesBy('table', 'fanwire_table_refusals_total')],
    },
  ],
}

export const overview: Dashboard = {
  uid: 'fanwire-overview',
  title: 'fanwire / overview',
  description: 'A relay in daily use. Five numbers on top; below, a row for each question.',
  refresh: '30s',
  from: 'now-1h',
  variables,
  annotations,
  top,
  rows: [flow, clients, slowClients, failures, messenger, shards, queues, room, identity],
}
