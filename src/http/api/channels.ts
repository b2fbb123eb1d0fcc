// What a back end may ask about channels: presence, presence_stats, history, history_remove, channels.
// Runs on a shard.

import type { Outcome } from '../../channel/home.ts'
import { type ErrorCode, errors } from '../../protocol/codes.ts'
import type { Answer } from '../../protocol/envelope.ts'
import { historyResult, presenceResult, presenceStatsResult } from '../../protocol/replies.ts'
import { ApiBody, ApiError } from './body.ts'
import { type ApiMethod, known } from './context.ts'

/** A back end may ask for more than a client; the reply is bounded in bytes as well. */
const HISTORY_COUNT_MAX = 10_000

export const presence: ApiMethod = (context, text, answered) => {
  const channel = new ApiBody(text, ['channel']).required('channel')
  if (!known(context, channel).options.presence) throw new ApiError(errors.notAvailable)
  context.directory.ask('presence', { channel }, outcome =>
    answered(outcome.ok ? { ok: true, value: presenceResult(outcome.value.members) } : outcome),
  )
}

export const presenceStats: ApiMethod = (context, text, answered) => {
  const channel = new ApiBody(text, ['channel']).required('channel')
  if (!known(context, channel).options.presence) throw new ApiError(errors.notAvailable)
  context.directory.ask('presenceStats', { channel }, outcome =>
    answered(
      outcome.ok
        ? { ok: true, value: presenceStatsResult(outcome.value.clients, outcome.value.users) }
        : outcome,
    ),
  )
}

export const history: ApiMethod = (context, text, answered) => {
  const body = new ApiBody(text, ['channel', 'limit', 'since', 'reverse'])
  const channel = body.required('channel')
  if (!known(context, channel).options.historyEnabled) throw new ApiError(errors.notAvailable)
  const since = body.object('since', ['offset', 'epoch'])
  const ask = {
    channel,
    limit: body.wholeNumber('limit', -1),
    countMax: HISTORY_COUNT_MAX,
    hasSince: since !== undefined,
    sinceEpoch: since?.text('epoch') ?? '',
    sinceOffset: since?.wholeNumber('offset', 0) ?? 0,
    reverse: body.flag('reverse'),
  }
  context.directory.ask('history', ask, outcome => {
    if (!outcome.ok) return answered(outcome)
    const { publications, epoch, offset } = outcome.value
    answered({ ok: true, value: historyResult(publications, epoch, offset) })
  })
}

export const historyRemove: ApiMethod = (context, text, answered) => {
  const channel = new ApiBody(text, ['channel']).required('channel')
  if (!known(context, channel).options.historyEnabled) throw new ApiError(errors.notAvailable)
  context.directory.ask('historyRemove', { channel }, outcome =>
    answered(outcome.ok ? { ok: true, value: '{}' } : outcome),
  )
}

/** Channels with subscribers; each shard lists those that are at home there. */
export const channels: ApiMethod = (context, text, answered) => {
  const pattern = new ApiBody(text, ['pattern']).text('pattern', 255)
  askAll<Answer<'channels'>>(
    context.shards,
    (shard, settle) => context.directory.askShard(shard, 'channels', { pattern }, settle),
    {
      done: answers => {
        const members = answers.map(({ channels }) => channels).filter(text => text !== '')
        answered({ ok: true, value: `{"channels":{${members.join(',')}}}` })
      },
      failed: error => answered({ ok: false, error }),
    },
  )
}

/** Asks several shards and goes on when all have answered; the first error counts. */
export function askAll<T>(
  shards: number | readonly number[],
  ask: (shard: number, settle: (outcome: Outcome<T>) => void) => void,
  then: { done: (answers: T[]) => void; failed: (error: ErrorCode) => void },
): void {
  const asked = typeof shards === 'number' ? Array.from({ length: shards }, (_, shard) => shard) : shards
  const answers: T[] = []
  let failed: ErrorCode | undefined
  let open = asked.length
  if (open === 0) return then.done([])
  for (const shard of asked) {
    ask(shard, outcome => {
      if (outcome.ok) answers.push(outcome.value)
      else failed ??= outcome.error
      open--
      if (open > 0) return
      if (failed === undefined) then.done(answers)
      else then.failed(failed)
    })
  }
}
