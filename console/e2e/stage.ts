/** What the tests of one file stand on: a server with its operator signed in, and a picture of where one of them failed. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { launch, open, picture, settled, setUp, type View } from "./browser";
import { type Server, startServer } from "./server";

/** Filled before the first test of the file that calls it. */
export interface Stage {
  server: Server;
  browser: Browser;
  view: View;
}

type Environment = Record<string, string>;

/** `environment` is asked for where something has to be started before the server. */
export function stage(name: string, environment: Environment | (() => Promise<Environment>) = {}): Stage {
  const on = {} as Stage;
  beforeAll(async () => {
    const wanted = typeof environment === "function" ? await environment() : environment;
    [on.server, on.browser] = await Promise.all([startServer(wanted), launch()]);
    on.view = await open(on.browser, on.server.url);
    await setUp(on.view, await on.server.token(), on.server.url);
    await settled(on.view.page);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await picture(on.view.page, `where-${name}-failed`);
  });
  afterAll(async () => {
    await on.browser?.close();
    await on.server?.stop();
  });
  return on;
}
