// All scenarios, in the order in which they are listed to people.

import type { Scenario } from '../scenario.ts'
import { direct } from './direct.ts'
import { fanout } from './fanout.ts'
import { idle } from './idle.ts'
import { mixed } from './mixed.ts'
import { rooms } from './rooms.ts'

export const scenarios: readonly Scenario[] = [fanout, rooms, direct, mixed, idle]
