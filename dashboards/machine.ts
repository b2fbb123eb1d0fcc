// The rows of the overview about the machine: shards, queues between them, room that is left, what runs here.
// Runs at build time.

import type { Row } from './panels.ts'
import { HERE, HERE_BY_SHARD, perShard, type Query, ratesOver, SHARD_LEGEND } from './queries.ts'

const RATE = '$__rate_interval'
const { rateOf } = ratesOver(RATE)

function perRelay(gauge: string, legend = '{{instance}}'): Query {
  return [`${gauge}{${HERE}}`, legend]
}

function ratePerRelay(counter: string, legend = '{{instance}}'): Query {
  return [`rate(${counter}{${HERE}}[${RATE}])`, legend]
}

export const shards: Row = {
  title: 'Is a shard full?',
  collapsed: true,
  panels: [
    {
      kind: 'lines',
      title: 'Event loop utilization by shard',
      description:
        'Share of time in which the loop was busy. One shard alone near 1: a single channel with very many publications ' +
        'is at home there. All of them: the machine is full.',
      unit: 'percentunit',
      queries: [[`avg_over_time(fanwire_event_loop_utilization{${HERE_BY_SHARD}}[${RATE}])`, SHARD_LEGEND]],
      thresholds: [
        { from: 0.7, color: 'orange' },
        { from: 0.9, color: 'red' },
      ],
      max: 1,
    },
    {
      kind: 'lines',
      title: 'Event loop delay by shard',
      description:
        'How late the loop ran in the last 0.1 s before the scrape. Above your latency goal with a low utilization: ' +
        'other programs use the cores.',
      unit: 's',
      queries: [perShard('fanwire_event_loop_delay_seconds')],
    },
    {
      kind: 'lines',
      title: 'Age of the last loop turn by shard',
      description:
        'Usually about 0.1 s. Over 10 s the shard is stuck, /health says 503, and only a restart of the process helps. ' +
        'No line: the shard is being replaced.',
      unit: 's',
      queries: [
        [
          `fanwire_clock_seconds{${HERE}} - on (instance) group_right () (fanwire_loop_turn_seconds{${HERE_BY_SHARD}} > 0)`,
          SHARD_LEGEND,
        ],
      ],
      thresholds: [{ from: 10, color: 'red' }],
    },
    {
      kind: 'lines',
      title: 'Flush delay by shard',
      description:
        'How long frames are held back to be joined. Above 0 the shard is busier than half; at flush_delay_max it is ' +
        'nearly full.',
      unit: 's',
      queries: [perShard('fanwire_flush_delay_seconds')],
    },
    {
      kind: 'lines',
      title: 'CPU of the process',
      description:
        'Cores that all threads together use: 2 means two full cores. The kernel part is mostly sends.',
      unit: 'short',
      queries: [
        ratePerRelay('process_cpu_user_seconds_total', '{{instance}} user'),
        ratePerRelay('process_cpu_system_seconds_total', '{{instance}} kernel'),
      ],
    },
    {
      kind: 'lines',
      title: 'Event loop lag of the main thread',
      description:
        'The main thread accepts connections and answers scrapes; it delivers nothing. High: a storm of new ' +
        'connections, or a machine without free cores.',
      unit: 's',
      queries: [perRelay('nodejs_eventloop_lag_p99_seconds', '{{instance}} p99')],
    },
    {
      kind: 'lines',
      title: 'Frames to clients, and flushes',
      description:
        'Frames given to sockets, and turns of loops that sent something, per second. Frames are what the CPU goes ' +
        'into: each is a system call. Frames divided by flushes is how many clients one turn serves.',
      unit: 'cps',
      width: 24,
      queries: [
        [rateOf('fanwire_frames_sent_total', 'transport'), 'frames, {{transport}}'],
        [rateOf('fanwire_flushes_total'), 'flushes'],
      ],
    },
  ],
}

export const queues: Row = {
  title: 'Do the queues between shards hold?',
  collapsed: true,
  panels: [
    {
      kind: 'lines',
      title: 'Bytes in rings by shard',
      description:
        'What a shard has written to the others and they have not taken. Near mesh.ring_size times the other shards: ' +
        'they can not follow. A relay with one shard has no rings.',
      unit: 'bytes',
      queries: [perShard('fanwire_ring_used_bytes')],
    },
    {
      kind: 'lines',
      title: 'Backlog before rings',
      description:
        'Bytes that wait before full rings. For a moment it is work for them; steady, a shard is full or stuck. Past ' +
        'mesh.backlog_max_size publishers get error 111.',
      unit: 'bytes',
      queries: [perRelay('fanwire_ring_backlog_bytes')],
    },
    {
      kind: 'lines',
      title: 'Full rings',
      description:
        'Writes per second that found a ring full. Anything steady: a shard can not follow the others.',
      unit: 'cps',
      queries: [ratePerRelay('fanwire_ring_full_total')],
    },
    {
      kind: 'lines',
      title: 'Frames between shards, and wakes',
      description:
        'Frames written to rings, and wakes of sleeping threads, per second. Few wakes for many frames is good: under ' +
        'load nobody sleeps.',
      unit: 'cps',
      width: 24,
      queries: [
        ratePerRelay('fanwire_ring_frames_total', '{{instance}} frames'),
        ratePerRelay('fanwire_doorbell_wakes_total', '{{instance}} wakes'),
      ],
    },
  ],
}

export const room: Row = {
  title: 'How much room is left?',
  collapsed: true,
  panels: [
    {
      kind: 'lines',
      title: 'Memory',
      description:
        'Resident memory of the process, and what is counted in it: histories, outboxes, backlog. Resident memory that ' +
        'grows while connections and these three do not is worth a look.',
      unit: 'bytes',
      queries: [
        perRelay('process_resident_memory_bytes', '{{instance}} resident'),
        [`sum by (instance) (fanwire_history_bytes{${HERE}})`, '{{instance}} histories'],
        [`sum by (instance) (fanwire_outbox_bytes{${HERE}})`, '{{instance}} outboxes'],
        perRelay('fanwire_ring_backlog_bytes', '{{instance}} backlog'),
      ],
    },
    {
      kind: 'lines',
      title: 'Histories of their limit, by shard',
      description:
        'Each shard has an equal part of channel.history_memory_limit. At 1 the channels that were quiet longest lose ' +
        'their oldest publications: a higher limit, or smaller histories.',
      unit: 'percentunit',
      queries: [
        [
          `fanwire_history_bytes{${HERE_BY_SHARD}} / on (instance) group_left () (fanwire_history_limit_bytes{${HERE}}` +
            ` / on (instance) count by (instance) (fanwire_history_bytes{${HERE}}))`,
          SHARD_LEGEND,
        ],
      ],
      thresholds: [{ from: 0.9, color: 'red' }],
      max: 1,
    },
    {
      kind: 'lines',
      title: 'Publications in histories by shard',
      description:
        'Publications that are kept for recovery, catching up and history. Bytes divided by these is their size.',
      unit: 'short',
      queries: [perShard('fanwire_history_publications')],
    },
    {
      kind: 'lines',
      title: 'Fill of the shared tables',
      description:
        'Share of entries in use: route holds channels, presence holds users. Full tables refuse new entries with error ' +
        '106. Raise the capacity above 0.8.',
      unit: 'percentunit',
      queries: [
        [
          `fanwire_table_used{${HERE}} / on (instance, table) fanwire_table_capacity{${HERE}}`,
          '{{instance}} {{table}}',
        ],
      ],
      thresholds: [{ from: 0.8, color: 'red' }],
      max: 1,
    },
    {
      kind: 'lines',
      title: 'File descriptors in use',
      description:
        'Share of the open files; each connection is one. The relay refuses connections 256 before the last. Raise ' +
        'LimitNOFILE.',
      unit: 'percentunit',
      queries: [[`process_open_fds{${HERE}} / on (instance) process_max_fds{${HERE}}`, '{{instance}}']],
      thresholds: [{ from: 0.9, color: 'red' }],
      max: 1,
    },
    {
      kind: 'lines',
      title: 'Heap of the main thread',
      description:
        'The main thread keeps little; the heaps of shards are in the resident memory only. Growth without end is a leak.',
      unit: 'bytes',
      queries: [perRelay('nodejs_heap_size_used_bytes', '{{instance}} used')],
    },
  ],
}

export const identity: Row = {
  title: 'What runs here?',
  collapsed: true,
  panels: [
    {
      kind: 'table',
      title: 'Versions',
      description:
        'Version of each relay and of the Node it runs on. Two versions side by side: an update is under way.',
      unit: 'short',
      width: 12,
      queries: [[`fanwire_build_info{${HERE}}`, '']],
    },
    {
      kind: 'lines',
      title: 'Uptime',
      description:
        'Time since the start. History lives in memory: after a restart clients learn that they were not recovered.',
      unit: 'dtdurations',
      width: 12,
      queries: [perRelay('fanwire_uptime_seconds')],
    },
  ],
}
