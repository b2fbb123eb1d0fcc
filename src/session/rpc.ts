// The registry of methods that clients call with the command `rpc`. Runs on every shard.

import type { ErrorCode } from '../protocol/codes.ts'

export type RpcCall = Readonly<{
  client: string
  user: string
  /** Raw JSON of the client, '' when it sent none. */
  data: string
}>

/** `data`: raw JSON. */
export type RpcOutcome = { ok: true; data: string } | { ok: false; error: ErrorCode }

export type RpcMethod = (call: RpcCall, answered: (outcome: RpcOutcome) => void) => void
export type RpcMethods = ReadonlyMap<string, RpcMethod>

/** What every relay has; layers on the relay add theirs. */
export function builtInMethods(version: string, nowMs: () => number): Map<string, RpcMethod> {
  return new Map<string, RpcMethod>([
    [
      'server.info',
      (_call, answered) => {
        answered({
          ok: true,
          data: `{"name":"fanwire","version":${JSON.stringify(version)},"time":${nowMs()}}`,
        })
      },
    ],
  ])
}
