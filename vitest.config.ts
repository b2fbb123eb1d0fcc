import { defineConfig } from 'vitest/config'

// Two workers at most: the integration tests start relays with several threads of their own, and the
// whole suite has to stay honest on a two-core machine.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/quick-start.ts'],
    setupFiles: ['test/support/setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
