// The row of the overview about the messenger; it is empty where a relay has none. Runs at build time.

import type { Row } from './panels.ts'
import { HERE, ratesOver } from './queries.ts'

const { rateOf, quantileOf } = ratesOver('$__rate_interval')

export const messenger: Row = {
  title: 'Does the messenger keep up?',
  collapsed: true,
  panels: [
    {
      kind: 'stacked',
      title: 'Calls of the messenger',
      description:
        'Per second, by what they got. refused: for a reason of the caller, such as a missing permission or a limit. ' +
        'failed: by an error of ours, a full disk, or because too much waits: the log says which.',
      unit: 'cps',
      queries: [[rateOf('fanwire_messenger_calls_total', 'outcome'), '{{outcome}}']],
    },
    {
      kind: 'lines',
      title: 'Messages and transactions',
      description:
        'Messages stored per second, and the transactions that made them durable. One transaction takes all that came ' +
        'in a turn of the loop: the busier it is, the more messages in each.',
      unit: 'cps',
      queries: [
        [rateOf('fanwire_messenger_messages_total'), 'messages'],
        [rateOf('fanwire_messenger_commits_total'), 'transactions'],
      ],
    },
    {
      kind: 'lines',
      title: 'Time to make a transaction durable',
      description:
        'From its begin to the moment at which the disk has it; the acknowledgement of a message waits for that. Slow ' +
        'while little is written: the disk.',
      unit: 's',
      queries: [
        [quantileOf(0.5, 'fanwire_messenger_commit_seconds'), 'p50'],
        [quantileOf(0.99, 'fanwire_messenger_commit_seconds'), 'p99'],
      ],
      thresholds: [{ from: 0.25, color: 'red' }],
    },
    {
      kind: 'lines',
      title: 'What waits in the messenger',
      description:
        'Calls for their transaction, tasks for a thread of the pool, publications for the home of their channel. Only ' +
        'growing: the disk, too few pool_threads, or a shard that is stuck.',
      unit: 'short',
      queries: [
        [`sum(fanwire_messenger_waiting_calls{${HERE}})`, 'calls'],
        [`sum(fanwire_messenger_pool_waiting{${HERE}})`, 'tasks'],
        [`sum(fanwire_messenger_undelivered{${HERE}})`, 'publications'],
      ],
    },
    {
      kind: 'lines',
      title: "Utilization of the messenger's loop",
      description:
        'Share of time in which the one thread that writes did something. Near 1 it is full: acknowledgements take ' +
        'longer, while the relay itself goes on as before.',
      unit: 'percentunit',
      queries: [[`fanwire_messenger_loop_utilization{${HERE}}`, '{{instance}}']],
      thresholds: [{ from: 0.9, color: 'red' }],
      max: 1,
    },
    {
      kind: 'lines',
      title: 'Logins',
      description:
        'Tries per second. Many refused ones: somebody guesses passwords; each account and address is held back more ' +
        'and more, and the audit log has the addresses.',
      unit: 'cps',
      queries: [[rateOf('fanwire_messenger_logins_total', 'outcome'), '{{outcome}}']],
    },
    {
      kind: 'lines',
      title: 'Users online',
      description: 'Users with a connection, or who lost the last one just now.',
      unit: 'short',
      queries: [[`fanwire_messenger_online_users{${HERE}}`, '{{instance}}']],
    },
    {
      kind: 'lines',
      title: 'Bytes of files',
      description:
        'All that was uploaded and is kept, against messenger.total_quota; the database is not among them.',
      unit: 'bytes',
      queries: [
        [`fanwire_messenger_storage_bytes{${HERE}}`, '{{instance}}'],
        [`fanwire_messenger_storage_limit_bytes{${HERE}} > 0`, '{{instance}} limit'],
      ],
    },
    {
      kind: 'lines',
      title: 'Replacements of the messenger',
      description:
        'Times that its thread ended and was started again, per minute, tries that failed included. Anything: the log ' +
        'has the error. Meanwhile calls get error 100, and the relay goes on.',
      unit: 'short',
      queries: [[`increase(fanwire_messenger_replacements_total{${HERE}}[1m])`, '{{instance}}']],
    },
  ],
}
