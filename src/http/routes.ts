// All HTTP routes of a shard but the WebSocket upgrade. Runs on a shard.

import type { TemplatedApp } from 'uWebSockets.js'
import { API_PREFIX, type ServeApi } from './api/api.ts'
import { jsonAnswer, serveRequest } from './route.ts'

const NOT_FOUND = jsonAnswer('404 Not Found', '{"error":{"code":104,"message":"not found"}}')

export function attachRoutes(app: TemplatedApp, serveApi: ServeApi, onError: (error: unknown) => void): void {
  app.any(`${API_PREFIX}*`, serveApi)
  // A path without a route would be closed without an answer.
  app.any('/*', (response, request) => {
    serveRequest(
      response,
      request,
      () => NOT_FOUND,
      () => {},
      { bodyBytesMax: 0, onError },
    )
  })
}
