// Few channels, many subscribers: what a relay is for.

import type { Scenario } from '../scenario.ts'
import { loadOnce, oneChannelEach, SMOKE, USUAL } from './plan.ts'

export const fanout: Scenario = {
  name: 'fanout',
  question: 'How fast and at what cost does a publication reach many subscribers?',
  defaults: USUAL,
  smoke: SMOKE,
  recoverable: false,
  promises: 'complete',
  hasKnee: true,
  run: stage => loadOnce(stage, oneChannelEach(stage.load)),
}
