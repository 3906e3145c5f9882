import { defineConfig } from "vitest/config";

export default defineConfig({
  root: import.meta.dirname,
  test: {
    include: ["**/*.test.ts"],
    environment: "node",
    // Each file starts a server and a browser of its own; more than two of them starve each other.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
    // A file is one walk: when a step fails, the steps after it have nothing to stand on.
    bail: 1,
  },
});
