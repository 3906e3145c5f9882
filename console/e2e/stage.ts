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

export function stage(name: string, environment: Record<string, string> = {}): Stage {
  const on = {} as Stage;
  beforeAll(async () => {
    [on.server, on.browser] = await Promise.all([startServer(environment), launch()]);
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
