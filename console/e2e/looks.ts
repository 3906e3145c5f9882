/** Pages in every width and in both colour schemes: a picture of each to look at, and nothing axe objects to. */
import type { Browser, BrowserContext } from "playwright-core";
import { expect } from "vitest";
import { obstacles, open, picture, settled, type View } from "./browser";

/** Colours do not depend on the width, nor places on the scheme: not every pair has to be looked at. */
export const VIEWS = [
  [360, "dark"],
  [768, "light"],
  [1440, "light"],
  [1440, "dark"],
] as const;

/** One width, one scheme; what was found wrong. */
export async function look(view: View, pages: Record<string, string>, scheme: string, width: number) {
  const found: string[] = [];
  for (const [name, path] of Object.entries(pages)) {
    await view.page.goto(path);
    await settled(view.page);
    await picture(view.page, `${name}-${width}-${scheme}`);
    found.push(...(await obstacles(view.page, `${name} at ${width} px, ${scheme}`)));
  }
  return found;
}

/** Looks at `pages` (path by name of the picture) as whoever is signed in to `context`. */
export async function everywhere(
  browser: Browser,
  url: string,
  context: BrowserContext,
  pages: Record<string, string>,
) {
  const found: string[] = [];
  for (const [width, scheme] of VIEWS) {
    const view = await open(browser, url, {
      viewport: { width, height: width < 768 ? 740 : 900 },
      colorScheme: scheme,
      storageState: await context.storageState(),
    });
    found.push(...(await look(view, pages, scheme, width)), ...view.faults);
    await view.context.close();
  }
  expect(found).toEqual([]);
}
