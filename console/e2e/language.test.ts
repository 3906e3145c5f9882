/** The console in French: by the browser's wish, by choice, and where words are longer than the English ones. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launch, open, settled, setUp, type View } from "./browser";
import { look } from "./looks";
import { type Server, startServer } from "./server";

let server: Server;
let browser: Browser;
let view: View;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  view = await open(browser, server.url);
  await setUp(view, await server.token(), server.url);
  await settled(view.page);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const heading = (one: View) => one.page.locator("h1").first().textContent();
const lang = (one: View) => one.page.evaluate(() => document.documentElement.lang);

it("follows the browser", async () => {
  const french = await open(browser, server.url, { locale: "fr-CH" });
  await french.page.goto("/app/sign-in");
  await settled(french.page);
  expect(await heading(french)).toBe("Se connecter");
  expect(await lang(french)).toBe("fr");
  await french.context.close();
});

it("is switched in the menu, and stays so", async () => {
  const { page } = view;
  expect(await heading(view)).toBe("Overview");
  await page.getByRole("button", { name: /^Signed in as/ }).click();
  await page.getByRole("menuitemradio", { name: "Français" }).click();
  await page.getByRole("heading", { name: "Vue d’ensemble" }).waitFor();
  await page.reload();
  await settled(page);
  expect(await heading(view)).toBe("Vue d’ensemble");
  expect(await lang(view)).toBe("fr");
});

it("names a browser and what it runs on in its own words", async () => {
  await view.page.goto("/app/account/security");
  await view.page.getByText("Chrome sur Linux").waitFor();
});

it("has room for its words on a narrow screen", async () => {
  const narrow = await open(browser, server.url, {
    viewport: { width: 360, height: 740 },
    locale: "fr-FR",
    storageState: await view.context.storageState(),
  });
  const places = await view.page
    .locator("nav a")
    .evaluateAll((links) =>
      links.map((link) => [
        `french${(link.getAttribute("href") ?? "").replace("/app", "").replaceAll("/", "-")}`,
        link.getAttribute("href") ?? "",
      ]),
    );
  expect(places.length).toBeGreaterThan(10);
  expect(await look(narrow, Object.fromEntries(places), "light", 360)).toEqual([]);
  expect(narrow.faults).toEqual([]);
  await narrow.context.close();
}, 300_000);
