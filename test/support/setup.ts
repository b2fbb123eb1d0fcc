// Runs before each file of tests, in its process: what a failed test left running is ended after the last one.

import { afterAll } from 'vitest'
import { killRelays } from './relay.ts'

afterAll(killRelays)
