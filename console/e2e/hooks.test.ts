/** Event hooks as somebody writes them: try one out, save it, see it refuse, look at its runs, take an older version back. */
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OPERATOR } from "./browser";
import { everywhere } from "./looks";
import { stage } from "./stage";

// A script has time here, however slow the machine: what a hook says is looked at, not its limits.
const on = stage("hooks", {
  POSTHOUSE__WEBHOOKS__ALLOW_PRIVATE: "true",
  POSTHOUSE__HOOKS__PROCESSOR_TIME: "5s",
  POSTHOUSE__HOOKS__TIME: "10s",
});

let url: string;
let answer = JSON.stringify({ action: "reject", text: "Not on Sundays." });
const asked: { headers: IncomingHttpHeaders; body: string }[] = [];
const receiver = createServer((request, response) => {
  let body = "";
  request.on("data", (data) => {
    body += data;
  });
  request.on("end", () => {
    asked.push({ headers: request.headers, body });
    response.writeHead(200).end(answer);
  });
});

beforeAll(async () => {
  await new Promise<void>((listening) => receiver.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
});

afterAll(() => receiver.close());

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
    await page.getByRole("heading", { level: 1, name: "Nothing about money" }).waitFor();
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
    // Typed as people type: a line end is one before anything stands behind it.
    await page.getByLabel("Addresses and domains").pressSequentially("@example.net\n@example.org");
    expect(await page.getByLabel("Addresses and domains").inputValue()).toBe("@example.net\n@example.org");
    // It is asked of recipients, and a try with the message alone would prove nothing.
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText("It is not asked at message, only at: rcpt.").waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await page.waitForURL(/\/app\/hooks\/[0-9a-f-]{36}/);
    expect(await send("Hello")).toBe(403);
    await page.goto("/app/hooks");
    await expect.poll(() => page.getByRole("row").count()).toBe(3);
    await page.getByRole("link", { name: "Not to them" }).click();
    await page.getByRole("switch", { name: "It is asked" }).click();
    await page.getByRole("button", { name: "Save" }).click();
    await expect.poll(() => send("Hello")).toBe(202);
  });

  it("put a footer under every message, which is shown as what it is", async () => {
    const { page } = on.view;
    await page.goto("/app/hooks/new?kind=rule");
    await page.getByLabel("Name", { exact: false }).first().fill("Legal notice");
    await page.getByRole("combobox", { name: "Rule" }).click();
    await page.getByRole("option", { name: "Add a footer" }).click();
    await page.getByLabel("Footer", { exact: true }).fill("Example Ltd. <Berlin>\nRegister 12345");
    await page
      .getByLabel("Footer in HTML")
      .fill('<p>Example <b>Ltd.</b></p><img src=x onerror="window.run=1">');
    await page.getByLabel("Message", { exact: true }).fill("From: a@example.com\nSubject: Hi\n\nHello\n");
    await page.getByRole("button", { name: "Run" }).click();
    await expect
      .poll(() => page.getByText("add footer Example Ltd. <Berlin> Register 12345").isVisible())
      .toBe(true);
    await page.getByRole("button", { name: "Save" }).click();
    await page.waitForURL(/\/app\/hooks\/[0-9a-f-]{36}/);
    await page.getByRole("heading", { level: 1, name: "Legal notice" }).waitFor();
    expect(await page.getByLabel("Footer in HTML").inputValue()).toContain("<b>Ltd.</b>");
    expect(await send("With a footer")).toBe(202);
    await expect
      .poll(() => page.getByText("add footer Example Ltd. <Berlin>").count(), { timeout: 20_000 })
      .toBeGreaterThan(0);
    expect(await page.evaluate(() => "run" in window)).toBe(false);
  });

  it("ask a receiver, whose secret is shown once", async () => {
    const { page } = on.view;
    await page.goto("/app/hooks");
    await page.getByRole("button", { name: "Ask a receiver" }).click();
    await page.getByLabel("Name", { exact: false }).first().fill("Ask the archive");
    await page.getByLabel("URL").fill("ftp://example.com/");
    await page.getByRole("button", { name: "Save" }).click();
    await expect.poll(() => page.getByText(/has to begin with/).count()).toBeGreaterThan(0);
    await page.getByLabel("URL").fill(url);
    await page.getByLabel("Wait at most (ms)").fill("5000");
    await page.getByRole("button", { name: "Save" }).click();
    const secret = page.getByText(/^whsec_/);
    await expect.poll(() => secret.count()).toBe(1);
    await page.goto("/app/hooks");
    await page.getByRole("link", { name: "Ask the archive" }).click();
    await page.getByLabel("URL").waitFor();
    expect(await secret.count()).toBe(0);
    expect(await send("Hello")).toBe(403);
    expect(asked.at(-1)?.headers["webhook-signature"]).toMatch(/^v1,/);
    expect(JSON.parse(asked.at(-1)?.body ?? "").type).toBe("hook.message");
    await expect
      .poll(() => page.getByText("554 5.7.1 Not on Sundays.").count(), { timeout: 20_000 })
      .toBeGreaterThan(0);
    answer = JSON.stringify({ action: "accept", tags: ["archived"] });
    expect(await send("Hello")).toBe(202);
    answer = "no JSON";
    expect(await send("Hello")).toBe(202);
    await expect
      .poll(
        () =>
          page
            .getByText(/the receiver’s answer is not understood|receiver's answer is not understood/)
            .count(),
        {
          timeout: 20_000,
        },
      )
      .toBeGreaterThan(0);
  });

  it(
    "look right in every width and scheme",
    async () => {
      const list = await on.view.context.request.get("/api/v1/hooks");
      const { items } = (await list.json()) as { items: { id: string; name: string }[] };
      const path = (name: string) => `/app/hooks/${items.find((one) => one.name === name)?.id}`;
      await everywhere(on.browser, on.server.url, on.view.context, {
        hooks: "/app/hooks",
        "hook-script": path("Nothing about money"),
        "hook-rule": path("Not to them"),
        "hook-footer": path("Legal notice"),
        "hook-receiver": path("Ask the archive"),
        "hook-new": "/app/hooks/new",
      });
    },
    LONG,
  );
});
