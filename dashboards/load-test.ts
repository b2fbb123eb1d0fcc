// The dashboard "fanwire / load test": what to watch while a relay is stressed, over the last minutes and second by second.
// Runs at build time. Invariant: rates go over the window of the variable, since $__rate_interval is too long for a test.

import type { Dashboard, Panel, Row } from './panels.ts'
import { HERE, perShard, type Query, ratesOver } from './queries.ts'
import { annotations, variables, windowVariable } from './variables.ts'

const WINDOW = '$window'
const { rateOf, meanOf, quantileOf } = ratesOver(WINDOW)

/** p50, p99 and p99.9 of a histogram. */
function quantilesOf(histogram: string): readonly Query[] {
  return [0.5, 0.99, 0.999].map(quantile => [quantileOf(quantile, histogram), `p${quantile * 100}`])
}

const deliveries = rateOf('fanwire_deliveries_total')
const publications = rateOf('fanwire_publications_total')
const cpuPerDelivery = `${rateOf('process_cpu_seconds_total')} / (${deliveries} > 0)`

const top: readonly Panel[] = [
  {
    kind: 'stat',
    title: 'Publications',
    description:
      'Accepted per second. Compare it with the rate that the load generator wanted to offer: if it is lower, the ' +
      'generator or the relay was at its end.',
    unit: 'cps',
    width: 5,
    queries: [[publications, '']],
  },
  {
    kind: 'stat',
    title: 'Deliveries',
    description:
      'Publications sent per second, once for each subscriber. Publications × subscribers, or somebody lags.',
    unit: 'cps',
    width: 5,
    queries: [[deliveries, '']],
  },
  {
    kind: 'stat',
    title: 'p99 to the last recipient',
    description:
      'From the acceptance to the send to the last subscriber on a shard, inside the relay. What clients see is this ' +
      'and the network, their own reading included.',
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
    title: 'CPU per delivery',
    description:
      'CPU time of the whole process for one delivery. Nearly all of it is the send system call, so it falls when ' +
      'frames are joined. No data while nothing is delivered.',
    unit: 's',
    width: 5,
    queries: [[cpuPerDelivery, '']],
  },
  {
    kind: 'stat',
    title: 'Missed',
    description: 'Drops per second of all reasons. A run that promises no loss has to stay at 0.',
    unit: 'cps',
    width: 4,
    queries: [[rateOf('fanwire_drops_total'), '']],
    thresholds: [{ from: 0.001, color: 'red' }],
  },
]

const offered: Row = {
  title: 'What is offered, what is delivered?',
  collapsed: false,
  panels: [
    {
      kind: 'lines',
      title: 'Publications and deliveries',
      description:
        'Per second. Deliveries that bend while publications go on: the relay is at its knee. Publications that bend: ' +
        'the generator is, or it waits for answers.',
      unit: 'cps',
      queries: [
        [rateOf('fanwire_publications_total', 'source'), 'published, {{source}}'],
        [rateOf('fanwire_deliveries_total', 'transport'), 'delivered, {{transport}}'],
      ],
    },
    {
      kind: 'lines',
      title: 'Fan-out',
      description:
        'Deliveries for each publication over all shards, and recipients on one shard. Should be the number of ' +
        'subscribers of the scenario; less: subscribers are missing or lag.',
      unit: 'short',
      queries: [
        [`${deliveries} / (${publications} > 0)`, 'deliveries per publication'],
        [meanOf('fanwire_fanout_size'), 'on a shard, mean'],
        [quantileOf(0.99, 'fanwire_fanout_size'), 'on a shard, p99'],
      ],
    },
    {
      kind: 'lines',
      title: 'Connections and subscriptions',
      description: 'The ramp of the test. Stairs instead of a slope: the generator connects in bursts.',
      unit: 'short',
      queries: [
        [`sum by (transport) (fanwire_connections{${HERE}})`, 'connections, {{transport}}'],
        [`sum(fanwire_subscriptions{${HERE}})`, 'subscriptions'],
      ],
    },
  ],
}

const latency: Row = {
  title: 'How long does it take?',
  collapsed: false,
  panels: [
    {
      kind: 'lines',
      title: 'Time to the first recipient',
      description:
        'From the acceptance of a publication to the send to its first subscriber on a shard: waiting for a turn of the ' +
        'loop, the hop between shards, the flush delay.',
      unit: 's',
      width: 12,
      queries: quantilesOf('fanwire_first_recipient_seconds'),
    },
    {
      kind: 'lines',
      title: 'Time to the last recipient',
      description:
        'To the send to the last subscriber on a shard: what the first waits for, and all sends before. This is the ' +
        'figure to compare; its tail shows the knee first.',
      unit: 's',
      width: 12,
      queries: quantilesOf('fanwire_last_recipient_seconds'),
    },
    {
      kind: 'heatmap',
      title: 'Distribution of the time to the first recipient',
      description:
        'Publications per second in each bucket. Two bands are two ways: on the home shard, and by a ring to another.',
      unit: 's',
      width: 12,
      queries: [[rateOf('fanwire_first_recipient_seconds_bucket', 'le'), '']],
    },
    {
      kind: 'heatmap',
      title: 'Distribution of the time to the last recipient',
      description:
        'Publications per second in each bucket. A band that climbs is a queue that grows; single spots far up are ' +
        'pauses of the machine or of the garbage collector.',
      unit: 's',
      width: 12,
      queries: [[rateOf('fanwire_last_recipient_seconds_bucket', 'le'), '']],
    },
  ],
}

const cost: Row = {
  title: 'What does it cost?',
  collapsed: false,
  panels: [
    {
      kind: 'lines',
      title: 'CPU per delivery over time',
      description:
        'CPU time of the process divided by deliveries. Falls with the rate, as frames are joined; if it rises, ' +
        'something else takes the time.',
      unit: 's',
      queries: [[cpuPerDelivery, 'CPU per delivery']],
    },
    {
      kind: 'lines',
      title: 'CPU of the process',
      description:
        'Cores in use by all threads. Far below the cores of the machine at the knee: the generator, the network or a ' +
        'single busy shard was the limit.',
      unit: 'short',
      queries: [
        [rateOf('process_cpu_user_seconds_total'), 'user'],
        [rateOf('process_cpu_system_seconds_total'), 'kernel'],
      ],
    },
    {
      kind: 'lines',
      title: 'Event loop utilization by shard',
      description:
        'Samples of 0.1 s. A test has found the limit of the relay only if shards are near 1; one alone: the test uses ' +
        'a single channel, which has a single home.',
      unit: 'percentunit',
      queries: [perShard('fanwire_event_loop_utilization')],
      thresholds: [{ from: 0.9, color: 'red' }],
      max: 1,
    },
    {
      kind: 'lines',
      title: 'Event loop delay by shard',
      description:
        'How late a loop ran. High with a low utilization: the generator takes the cores from the relay, and figures of ' +
        'latency say nothing.',
      unit: 's',
      queries: [perShard('fanwire_event_loop_delay_seconds')],
    },
    {
      kind: 'lines',
      title: 'Flush delay by shard',
      description:
        'How long frames are held back to be joined: 0 up to a utilization of one half, then rising to flush_delay_max. ' +
        'It is part of the latency above, on purpose.',
      unit: 's',
      queries: [perShard('fanwire_flush_delay_seconds')],
    },
    {
      kind: 'lines',
      title: 'Publications joined in a frame',
      description:
        'Mean and p99. At 1 each delivery is a system call of its own; that is the dearest way to deliver.',
      unit: 'short',
      queries: [
        [meanOf('fanwire_frame_publications'), 'mean'],
        [quantileOf(0.99, 'fanwire_frame_publications'), 'p99'],
      ],
    },
  ],
}

const limits: Row = {
  title: 'Where does it end?',
  collapsed: false,
  panels: [
    {
      kind: 'lines',
      title: 'Lagging connections by shard',
      description:
        'Receivers that do not read fast enough. In a test it is nearly always the generator: look at its own CPU ' +
        'before blaming the relay.',
      unit: 'short',
      queries: [perShard('fanwire_lagging_connections')],
    },
    {
      kind: 'lines',
      title: 'Drops and ends of catching up',
      description:
        'Per second, by reason and outcome. Anything but complete is a loss that a ledger has to show as well.',
      unit: 'cps',
      queries: [
        [rateOf('fanwire_drops_total', 'reason'), 'drop, {{reason}}'],
        [rateOf('fanwire_catch_ups_total', 'outcome'), 'catch-up, {{outcome}}'],
      ],
    },
    {
      kind: 'lines',
      title: 'Refusals',
      description:
        'Per second: error replies, refused connections, disconnects and API requests that were not done. A test that ' +
        'gets them measures refusals.',
      unit: 'cps',
      queries: [
        [rateOf('fanwire_errors_total', 'code'), 'error {{code}}'],
        [rateOf('fanwire_connections_refused_total', 'reason'), 'refused, {{reason}}'],
        [rateOf('fanwire_disconnects_total', 'code'), 'disconnect {{code}}'],
        [
          `sum by (outcome) (rate(fanwire_api_requests_total{${HERE}, outcome!="ok"}[${WINDOW}]))`,
          'API, {{outcome}}',
        ],
      ],
    },
    {
      kind: 'lines',
      title: 'Queues between shards',
      description:
        'Bytes in rings and before them. A backlog that grows: publications come faster than shards can take.',
      unit: 'bytes',
      queries: [
        perShard('fanwire_ring_used_bytes'),
        [`fanwire_ring_backlog_bytes{${HERE}}`, '{{instance}} backlog'],
      ],
    },
    {
      kind: 'lines',
      title: 'Memory per connection',
      description:
        'Resident memory divided by connections: it holds the process itself, so read it at thousands of them, or ' +
        'compare two plateaus.',
      unit: 'bytes',
      queries: [
        [
          `process_resident_memory_bytes{${HERE}} / on (instance) (sum by (instance) (fanwire_connections{${HERE}}) > 0)`,
          '{{instance}}',
        ],
      ],
    },
    {
      kind: 'lines',
      title: 'Memory',
      description:
        'Resident memory, and what is counted in it. After the test it falls slowly, as the garbage collector gives ' +
        'back; a soak must have no slope.',
      unit: 'bytes',
      queries: [
        [`process_resident_memory_bytes{${HERE}}`, '{{instance}} resident'],
        [`sum by (instance) (fanwire_history_bytes{${HERE}})`, '{{instance}} histories'],
        [`sum by (instance) (fanwire_outbox_bytes{${HERE}})`, '{{instance}} outboxes'],
      ],
    },
  ],
}

export const loadTest: Dashboard = {
  uid: 'fanwire-load-test',
  title: 'fanwire / load test',
  description:
    'A relay under a load test. Scrape it every 1 to 5 seconds, and let rates go over four scrapes or more.',
  refresh: '5s',
  from: 'now-5m',
  variables: [...variables, windowVariable(['10s', '5s', '20s', '30s', '1m'])],
  annotations,
  top,
  rows: [offered, latency, cost, limits],
  intervalMin: '1s',
}
