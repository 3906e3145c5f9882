import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// Where `npm run dev` finds a running Posthouse for everything that is not the console.
const server = process.env.POSTHOUSE_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/app/",
  plugins: [react()],
  server: { host: "127.0.0.1", proxy: { "/api": server } },
  // The server forbids inline scripts, so nothing may be inlined or preloaded by script text.
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
