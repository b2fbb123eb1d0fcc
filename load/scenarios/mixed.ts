// WebSocket and TCP subscribers in the same channels.

import type { Scenario } from '../scenario.ts'
import { loadOnce, oneChannelEach, SMOKE, USUAL } from './plan.ts'

export const mixed: Scenario = {
  name: 'mixed',
  question: 'Do WebSocket and TCP clients of the same channels get everything, in order, and soon?',
  defaults: { ...USUAL, transport: 'mixed' },
  smoke: SMOKE,
  recoverable: false,
  promises: 'complete',
  hasKnee: true,
  ignores: ['transport'],
  run: stage => loadOnce(stage, oneChannelEach(stage.load)),
}
