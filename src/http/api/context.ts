// What the methods of the server API work with. Runs on a shard.

import type { Directory } from '../../channel/directory.ts'
import type { Outcome } from '../../channel/home.ts'
import type { Namespaces, ResolvedChannel } from '../../config/namespaces.ts'
import type { Config } from '../../config/schema.ts'
import { detailed, type ErrorCode, errors } from '../../protocol/codes.ts'
import type { CountTable } from '../../shared/count-table.ts'
import { ApiError } from './body.ts'

export type ApiContext = Readonly<{
  config: Config
  version: string
  shards: number
  namespaces: Namespaces
  directory: Directory
  presence: CountTable
  row: Float64Array
  /** Rows of all shards, for `info`. */
  rows: readonly Float64Array[]
  startedMs: number
  nodeId: string
}>

/** Throws ApiError for a wrong request; answers with the result's JSON text, or an error. */
export type ApiMethod = (
  context: ApiContext,
  text: string,
  answered: (outcome: Outcome<string>) => void,
) => void

export function failure(error: ErrorCode): Outcome<never> {
  return { ok: false, error }
}

/** The rules of a channel; throws for one that is none. */
export function known(context: ApiContext, channel: string): Extract<ResolvedChannel, { kind: 'known' }> {
  const resolved = context.namespaces.resolve(channel)
  if (resolved.kind === 'bad') throw new ApiError(detailed(errors.badRequest, resolved.why))
  if (resolved.kind === 'unknown') throw new ApiError(errors.unknownChannel)
  return resolved
}
