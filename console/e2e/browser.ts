/** A browser that looks at the console, and what every page has to hold to. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

const CHROMIUM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
const FLAGS =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

export const SCREENSHOTS = join(import.meta.dirname, "../../test-output/screenshots");

export const OPERATOR = { email: "operator@example.com", password: "correct-horse-battery-staple-9" };

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS.split(" ") });
}

export interface View {
  page: Page;
  context: BrowserContext;
  /** Faults the browser reported: scripts that broke, files that the content policy refused. */
  faults: string[];
}

export async function open(
  browser: Browser,
  url: string,
  looks: Parameters<Browser["newContext"]>[0] = {},
): Promise<View> {
  const context = await browser.newContext({
    baseURL: url,
    viewport: { width: 1440, height: 900 },
    locale: "en-GB",
    permissions: ["clipboard-read", "clipboard-write"],
    // A dialog on its way out still has its buttons, and a test that is fast enough would find two of one name.
    reducedMotion: "reduce",
    ...looks,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // A refusal is an answer, and pages show it; the browser calls it an error all the same.
    if (message.type() === "error" && !message.text().includes("Failed to load resource"))
      faults.push(message.text());
  });
  return { page, context, faults };
}

/** Makes the operator's account and signs in, as the first page would. */
export async function setUp({ context, page }: View, token: string, url: string): Promise<void> {
  const answer = await context.request.post("/api/v1/setup", {
    data: { ...OPERATOR, token },
    headers: { Origin: url },
  });
  expect(answer.status(), await answer.text()).toBe(201);
  await page.goto("/app/");
}

/** Skeletons are gone, fonts are there: what is seen now is the page. */
export async function settled(page: Page): Promise<void> {
  await page.locator("h1").first().waitFor();
  await page.waitForFunction(() => !document.querySelector(".mantine-Skeleton-root, [aria-busy=true]"));
  await page.evaluate(() => document.fonts.ready);
}

export async function picture(page: Page, name: string): Promise<void> {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true, animations: "disabled" });
}

/** What axe knows to be an obstacle, and whatever stands out beside the page. */
export async function obstacles(page: Page, where: string): Promise<string[]> {
  // The usual mode opens a page more for each look, which only frames of other origins need.
  const axe = new AxeBuilder({ page }).exclude("iframe").setLegacyMode();
  const { violations } = await axe.options({ resultTypes: ["violations"] }).analyze();
  const found = violations.map(
    ({ id, nodes }) => `${where}: ${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`,
  );
  const beside = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  return beside > 0 ? [...found, `${where}: ${beside} px wider than its window`] : found;
}

/** Asked until it holds: a drawer that is still sliding in is half transparent, and its words are hard to read. */
export async function accessible(page: Page, where: string): Promise<void> {
  await expect.poll(() => obstacles(page, where), { timeout: 15_000 }).toEqual([]);
}
