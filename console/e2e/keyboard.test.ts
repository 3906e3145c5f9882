/** The console without a mouse. */
import { describe, expect, it } from "vitest";
import { accessible, settled } from "./browser";
import { stage } from "./stage";

const on = stage("keyboard");

const focused = () =>
  on.view.page.evaluate(() => {
    const at = document.activeElement;
    return at?.getAttribute("aria-label") ?? at?.textContent?.trim() ?? "";
  });

describe("by keyboard", () => {
  it("the first stop skips to the content", async () => {
    const { page } = on.view;
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Skip to the content");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe("main");
  });

  it("every stop can be seen", async () => {
    const { page } = on.view;
    await page.goto("/app/messages");
    await settled(page);
    const seen = new Set<string>();
    for (let i = 0; i < 30; i += 1) {
      await page.keyboard.press("Tab");
      const ring = await page.evaluate(() => {
        const at = document.activeElement;
        if (!at || at === document.body) return null;
        // A field shows its focus by its border, everything else by a ring.
        if (at.matches('input, [class*="Input-input"]')) return "field";
        const own = getComputedStyle(at);
        const after = getComputedStyle(at, "::after");
        return own.outlineStyle !== "none" || after.outlineStyle !== "none"
          ? "ring"
          : at.outerHTML.slice(0, 120);
      });
      if (ring === null) break;
      expect(["field", "ring"]).toContain(ring);
      seen.add(await focused());
    }
    expect([...seen]).toEqual(expect.arrayContaining(["Overview", "Messages", "SMTP settings", "Queue"]));
  });

  it("a page is reached from the rail and starts at its heading", async () => {
    const { page } = on.view;
    await page.goto("/app/");
    await settled(page);
    await page.getByRole("link", { name: "Send a test" }).first().focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Send a test" }).waitFor();
    await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe("H1");
  });

  it("a test is sent with keys alone", async () => {
    const { page } = on.view;
    for (let i = 0; i < 12 && (await focused()) !== "Send"; i += 1) await page.keyboard.press("Tab");
    expect(await focused()).toBe("Send");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "A test from Posthouse" }).waitFor();
    await page.getByRole("article").locator('[data-state="delivered"]').first().waitFor();
  });

  it("a dialog takes the focus, starts on the safe side and gives the focus back", async () => {
    const { page } = on.view;
    await page.goto("/app/domains");
    await settled(page);
    const add = page.getByRole("button", { name: "Add a domain" });
    await add.focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe("INPUT");
    await accessible(page, "the dialog that adds a domain");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    await expect.poll(focused).toBe("Add a domain");
  });

  it("Ctrl-K finds a page and opens it", async () => {
    const { page } = on.view;
    await page.keyboard.press("Control+k");
    const field = page.getByPlaceholder("A page, a recipient, a message id");
    await field.waitFor();
    await accessible(page, "the search");
    await page.keyboard.type("smtp");
    await page.getByRole("button", { name: "SMTP settings" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "SMTP settings" }).waitFor();
  });

  it("on a narrow screen the menu opens, holds the focus and closes", async () => {
    const { page } = on.view;
    await page.setViewportSize({ width: 360, height: 740 });
    await page.goto("/app/");
    await settled(page);
    await page.getByRole("button", { name: "Menu" }).focus();
    await page.keyboard.press("Enter");
    const drawer = page.getByRole("dialog");
    await drawer.getByRole("link", { name: "Messages" }).waitFor();
    await accessible(page, "the menu on a narrow screen");
    await drawer.getByRole("link", { name: "Messages" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Messages" }).waitFor();
    await drawer.waitFor({ state: "hidden" });
  });

  it("the colours follow the choice, also after a reload", async () => {
    const { page } = on.view;
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.getByRole("button", { name: /^Signed in as/ }).click();
    await page.getByRole("menuitemradio", { name: "Dark" }).click();
    const scheme = () => page.evaluate(() => document.documentElement.dataset.mantineColorScheme);
    expect(await scheme()).toBe("dark");
    await page.reload();
    await settled(page);
    expect(await scheme()).toBe("dark");
  });
});
