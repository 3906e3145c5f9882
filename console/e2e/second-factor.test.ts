/** Proving who one is: the password entered again, codes, passkeys. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessible, launch, OPERATOR, open, settled, setUp, type View } from "./browser";
import { type Server, startServer } from "./server";

let server: Server;
let browser: Browser;
let view: View;
let home: string;
let passed = 0;

/** Time goes on at the server without anybody waiting for it. */
async function pass(seconds: number) {
  passed += seconds;
  await writeFile(join(home, "clock"), String(passed));
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "posthouse-e2e-clock-"));
  await pass(0);
  [server, browser] = await Promise.all([
    startServer({ POSTHOUSE_TEST_CLOCK: join(home, "clock") }),
    launch(),
  ]);
  view = await open(browser, server.url);
  await setUp(view, await server.token(), server.url);
  await settled(view.page);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  await rm(home, { recursive: true, force: true });
});

describe("the password, entered again", () => {
  const focused = () => view.page.evaluate(() => document.activeElement?.getAttribute("type"));
  const dialog = () => view.page.getByRole("dialog", { name: "Enter your password" });

  async function wantsKey(name: string) {
    const { page } = view;
    await page.goto("/app/keys");
    await settled(page);
    await page.getByRole("button", { name: "Create a key" }).first().click();
    const creating = page.getByRole("dialog", { name: "Create a key" });
    await creating.getByLabel("Name").fill(name);
    await creating.getByRole("button", { name: "Create a key" }).click();
  }

  it("is not asked for right after signing in", async () => {
    await wantsKey("First");
    await view.page.getByText("First").first().waitFor();
    expect(await dialog().count()).toBe(0);
  });

  it("is asked for later, by keyboard alone, and what was wanted is done", async () => {
    const { page } = view;
    await pass(11 * 60);
    await wantsKey("Second");
    await dialog().waitFor();
    await expect.poll(focused).toBe("password");
    await accessible(page, "the dialog that asks for the password");
    await page.keyboard.type("not the password");
    await page.keyboard.press("Enter");
    await dialog().getByText("The password is not right.").waitFor();
    await page.keyboard.press("Control+a");
    await page.keyboard.type(OPERATOR.password);
    await page.keyboard.press("Enter");
    await dialog().waitFor({ state: "hidden" });
    await page.getByRole("row").filter({ hasText: "Second" }).waitFor();
  });

  it("may be left alone; the form behind it keeps what was typed", async () => {
    const { page } = view;
    await pass(11 * 60);
    await wantsKey("Third");
    await dialog().waitFor();
    await expect.poll(focused).toBe("password");
    await page.keyboard.press("Escape");
    await dialog().waitFor({ state: "hidden" });
    const creating = page.getByRole("dialog", { name: "Create a key" });
    await creating.getByText("Enter your password again").waitFor();
    expect(await creating.getByLabel("Name").inputValue()).toBe("Third");
  });

  it("is not looked at after ten wrong ones, and the dialog says how long", async () => {
    const { page } = view;
    for (let guess = 0; guess < 10; guess += 1) {
      const answer = await view.context.request.post("/api/v1/session/confirm", {
        data: { password: `guess ${guess}` },
        headers: { Origin: server.url },
      });
      expect(answer.status()).toBe(422);
    }
    const creating = page.getByRole("dialog", { name: "Create a key" });
    await creating.getByRole("button", { name: "Create a key" }).click();
    await dialog()
      .getByLabel(/^Password of/)
      .fill(OPERATOR.password);
    await page.keyboard.press("Enter");
    await dialog()
      .getByText(/Try again in \d+ seconds/)
      .waitFor();
    await accessible(page, "the dialog while the login is locked");
    await pass(6 * 60);
    await page.keyboard.press("Enter");
    await page.getByRole("row").filter({ hasText: "Third" }).waitFor();
  });
});
