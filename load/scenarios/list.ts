// All scenarios, in the order in which they are listed to people.

import type { Scenario } from '../scenario.ts'
import { churn } from './churn.ts'
import { direct } from './direct.ts'
import { drain } from './drain.ts'
import { fanout } from './fanout.ts'
import { idle } from './idle.ts'
import { mixed } from './mixed.ts'
import { rooms } from './rooms.ts'
import { slow } from './slow.ts'
import { soak } from './soak.ts'
import { storm } from './storm.ts'

export const scenarios: readonly Scenario[] = [
  fanout,
  rooms,
  direct,
  mixed,
  churn,
  storm,
  slow,
  idle,
  drain,
  soak,
]
