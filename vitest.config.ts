import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // One more than the two cores that are taken to be there: many tests wait for real processes. A fourth gains nothing.
    maxWorkers: 3,
    // No module of ours holds anything between calls, so files may share what is loaded: a fifth of the processor's time.
    isolate: false,
  },
})
