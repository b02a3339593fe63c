import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', './test/support/closing-line.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // One more than the two cores that are taken to be there: most tests wait for real processes half of their time
    // (413 s, with two workers 560 s). With more of them those would wait for each other.
    maxWorkers: 3,
  },
})
