// publish and broadcast. Runs on a shard.

import type { Outcome } from '../../channel/home.ts'
import {
  BROADCAST_CHANNELS_MAX,
  IDEMPOTENCY_KEY_LENGTH_MAX,
  PUBLICATION_TAGS_BYTES_MAX,
  PUBLICATION_TAGS_MAX,
} from '../../config/limits.ts'
import { slots } from '../../metrics/slots.ts'
import { errorJson } from '../../protocol/replies.ts'
import { ApiBody, ApiError, badRequest } from './body.ts'
import { type ApiContext, type ApiMethod, failure, known } from './context.ts'

const COMMON = ['data', 'tags', 'skip_history', 'idempotency_key']

type Content = Readonly<{ data: string; tags: string; skipHistory: boolean; idempotencyKey: string }>

export const publish: ApiMethod = (context, text, answered) => {
  const body = new ApiBody(text, ['channel', ...COMMON])
  const channel = body.required('channel')
  publishTo(context, channel, contentOf(body), answered)
}

/** The same data to many channels; each has its own outcome. */
export const broadcast: ApiMethod = (context, text, answered) => {
  const body = new ApiBody(text, ['channels', ...COMMON])
  const channels = body.texts('channels', BROADCAST_CHANNELS_MAX)
  if (channels.length === 0) throw badRequest('channels is required')
  const content = contentOf(body)
  const responses: string[] = new Array(channels.length)
  let open = channels.length
  channels.forEach((channel, i) => {
    const settle = (outcome: Outcome<string>) => {
      responses[i] = outcome.ok ? `{"result":${outcome.value}}` : `{"error":${errorJson(outcome.error)}}`
      open--
      if (open === 0) answered({ ok: true, value: `{"responses":[${responses.join(',')}]}` })
    }
    try {
      publishTo(context, channel, content, settle)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      settle(failure(error.error))
    }
  })
}

function publishTo(
  context: ApiContext,
  channel: string,
  content: Content,
  answered: (outcome: Outcome<string>) => void,
): void {
  known(context, channel)
  context.directory.ask('publish', { channel, info: '', ...content }, outcome => {
    if (!outcome.ok) return answered(outcome)
    context.row[slots.publications.api]! += 1
    const { epoch, offset } = outcome.value
    answered({ ok: true, value: offset === 0 ? '{}' : `{"offset":${offset},"epoch":"${epoch}"}` })
  })
}

function contentOf(body: ApiBody): Content {
  const data = body.raw('data')
  if (data === undefined) throw badRequest('data is required')
  return {
    data,
    tags: tagsOf(body),
    skipHistory: body.flag('skip_history'),
    idempotencyKey: body.text('idempotency_key', IDEMPOTENCY_KEY_LENGTH_MAX),
  }
}

function tagsOf(body: ApiBody): string {
  const raw = body.raw('tags')
  if (raw === undefined) return ''
  const tags: unknown = JSON.parse(raw)
  const isMap = typeof tags === 'object' && tags !== null && !Array.isArray(tags)
  if (!isMap || Object.values(tags).some(value => typeof value !== 'string')) {
    throw badRequest('tags is an object with strings as values')
  }
  if (Object.keys(tags).length > PUBLICATION_TAGS_MAX)
    throw badRequest(`tags has at most ${PUBLICATION_TAGS_MAX} entries`)
  if (Buffer.byteLength(raw) > PUBLICATION_TAGS_BYTES_MAX) {
    throw badRequest(`tags has at most ${PUBLICATION_TAGS_BYTES_MAX} bytes`)
  }
  return raw
}
