import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * Files that take longest, longest first. Without what an earlier run left in its cache Vitest goes by the size of the
 * files, and would begin some of these when all others are done.
 */
const SLOW = [
  'e2e/restart',
  'stress/kills',
  'stress/lifecycle',
  'load/run',
  'load/faults',
  'slow/policies',
  'load/scenarios',
  'load/peers',
  'fanout/flusher.model',
  'e2e/messenger-thread',
  'load/against',
  'e2e/shutdown',
  'hostile/limits',
  'load/report',
]

class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const index = SLOW.findIndex(name => moduleId.endsWith(`/test/${name}.test.ts`))
      return index === -1 ? SLOW.length : index
    }
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}

// Two workers at most: the integration tests start relays with several threads of their own, and the
// whole suite has to stay honest on a two-core machine.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/quick-start.ts'],
    setupFiles: ['test/support/setup.ts'],
    sequence: { sequencer: SlowFirst },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
