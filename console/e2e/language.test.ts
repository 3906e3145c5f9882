/** The console in French: by the browser's wish, by choice, and where words are longer than the English ones. */
import { expect, it } from "vitest";
import { open, settled, type View } from "./browser";
import { look } from "./looks";
import { stage } from "./stage";

const on = stage("language");

const heading = (one: View) => one.page.locator("h1").first().textContent();
const lang = (one: View) => one.page.evaluate(() => document.documentElement.lang);

it("follows the browser", async () => {
  const french = await open(on.browser, on.server.url, { locale: "fr-CH" });
  await french.page.goto("/app/sign-in");
  await settled(french.page);
  expect(await heading(french)).toBe("Se connecter");
  expect(await lang(french)).toBe("fr");
  await french.context.close();
});

it("is switched in the menu, and stays so", async () => {
  const { page } = on.view;
  expect(await heading(on.view)).toBe("Overview");
  await page.getByRole("button", { name: /^Signed in as/ }).click();
  await page.getByRole("menuitemradio", { name: "Français" }).click();
  await page.getByRole("heading", { name: "Vue d’ensemble" }).waitFor();
  await page.reload();
  await settled(page);
  expect(await heading(on.view)).toBe("Vue d’ensemble");
  expect(await lang(on.view)).toBe("fr");
});

it("names a browser and what it runs on in its own words", async () => {
  await on.view.page.goto("/app/account/security");
  await on.view.page.getByText("Chrome sur Linux").waitFor();
});

it("has room for its words on a narrow screen", async () => {
  const narrow = await open(on.browser, on.server.url, {
    viewport: { width: 360, height: 740 },
    locale: "fr-FR",
    storageState: await on.view.context.storageState(),
  });
  const places = await on.view.page
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
