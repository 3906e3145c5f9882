/** Event hooks as somebody writes them: try one out, save it, see it refuse, look at its runs, take an older version back. */
import { describe, expect, it } from "vitest";
import { OPERATOR } from "./browser";
import { everywhere } from "./looks";
import { stage } from "./stage";

const on = stage("hooks");

async function send(subject: string): Promise<number> {
  const sent = await on.view.context.request.post("/api/v1/messages", {
    data: { from: OPERATOR.email, to: ["bob@example.org"], subject, text: "Hello" },
    headers: { Origin: on.server.url },
  });
  return sent.status();
}

/** Every width in both schemes. */
const LONG = 600_000;

describe("event hooks in the console", () => {
  it("are written, tried out and saved, and then have their say", async () => {
    const { page } = on.view;
    await page.goto("/app/hooks");
    await page.getByRole("button", { name: "Write a script" }).click();
    const editor = page.getByRole("textbox", { name: "Script" });
    await editor.waitFor();
    await page.getByLabel("Name", { exact: false }).first().fill("Nothing about money");
    await editor.fill(
      'function on_message(m)\n  if m.subject:find("money") then reject("No money.") end\n  print(m.subject)\nend',
    );
    await page
      .getByLabel("Message", { exact: true })
      .fill("From: a@example.com\nSubject: More money\n\nHello\n");
    await page.getByRole("button", { name: "Run" }).click();
    await expect.poll(() => page.getByText("554 5.7.1 No money.").isVisible()).toBe(true);
    await page.getByRole("button", { name: "Save" }).click();
    await page.waitForURL(/\/app\/hooks\/[0-9a-f-]{36}/);
    expect(await send("More money")).toBe(403);
    expect(await send("Hello")).toBe(202);
    await expect
      .poll(() => page.getByText("554 5.7.1 No money.").count(), { timeout: 20_000 })
      .toBeGreaterThan(0);
  });

  it("complete what is typed, and show the line that is wrong", async () => {
    const { page } = on.view;
    const editor = page.getByRole("textbox", { name: "Script" });
    await editor.fill("");
    await editor.pressSequentially("rej");
    await page.getByRole("option", { name: /reject/ }).waitFor();
    await page.keyboard.press("Escape");
    await editor.fill("function on_message(m)\n  if then\nend");
    await page.getByRole("button", { name: "Save" }).click();
    await expect.poll(() => page.getByText(/^line 2: /).count()).toBeGreaterThan(0);
    await expect.poll(() => page.locator(".cm-lint-marker-error").count()).toBe(1);
  });

  it("come back as they were", async () => {
    const { page } = on.view;
    await page.reload();
    const editor = page.getByRole("textbox", { name: "Script" });
    await editor.fill("function on_message(m) end");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Restore: Version 1" }).click();
    await expect.poll(() => editor.textContent()).toContain("No money.");
  });

  it("are rules as well, filled in as a form", async () => {
    const { page } = on.view;
    await page.goto("/app/hooks/new?kind=rule");
    await page.getByLabel("Name", { exact: false }).first().fill("Not to them");
    await page.getByLabel("Addresses and domains").fill("@example.org");
    await page.getByRole("button", { name: "Save" }).click();
    await page.waitForURL(/\/app\/hooks\/[0-9a-f-]{36}/);
    expect(await send("Hello")).toBe(403);
    await page.goto("/app/hooks");
    await expect.poll(() => page.getByRole("row").count()).toBe(3);
  });

  it(
    "look right in every width and scheme",
    async () => {
      const list = await on.view.context.request.get("/api/v1/hooks");
      const { items } = (await list.json()) as { items: { id: string; kind: string }[] };
      const path = (kind: string) => `/app/hooks/${items.find((one) => one.kind === kind)?.id}`;
      await everywhere(on.browser, on.server.url, on.view.context, {
        hooks: "/app/hooks",
        "hook-script": path("script"),
        "hook-rule": path("rule"),
        "hook-new": "/app/hooks/new",
      });
    },
    LONG,
  );
});
