/** What a recipient sees behind the link of a message: without an account, without a cookie, without JavaScript. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { OPERATOR, obstacles, open, picture, settled } from "./browser";
import { VIEWS } from "./looks";
import { stage } from "./stage";

const on = stage("unsubscribe");

/** The path of the link in a message of the stream for marketing. */
async function link(to: string): Promise<string> {
  const { request } = on.view.context;
  const sent = await request.post("/api/v1/messages", {
    data: { from: OPERATOR.email, to: [to], subject: "News", text: "News", stream: "marketing" },
    headers: { Origin: on.server.url },
  });
  expect(sent.status(), await sent.text()).toBe(202);
  let text = "";
  await expect
    .poll(async () => {
      const list = await request.get(`/api/v1/inbox?q=${encodeURIComponent(to)}`);
      const [mail] = ((await list.json()) as { items: { id: string }[] }).items;
      if (!mail) return "";
      const content = await request.get(`/api/v1/inbox/${mail.id}/content`);
      text = ((await content.json()) as { text: string }).text;
      return text;
    })
    .toMatch(/\/u\/[a-z2-7]+/);
  return text.match(/\/u\/[a-z2-7]+/)?.[0] ?? "";
}

async function reader(width: number, colorScheme: "dark" | "light", javaScriptEnabled: boolean) {
  return open(on.browser, on.server.url, {
    viewport: { width, height: width < 768 ? 740 : 900 },
    colorScheme,
    javaScriptEnabled,
  });
}

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

describe("the page behind an unsubscribe link", () => {
  it("takes its reader out of a stream and back, and out of all", async () => {
    const streams = [
      ["offers", "Special offers"],
      ["events", "Invitations to events, workshops and everything else that happens near you"],
    ];
    for (const [slug, name] of streams) {
      const made = await on.view.context.request.post("/api/v1/streams", {
        data: { slug, name, kind: "marketing" },
        headers: { Origin: on.server.url },
      });
      expect(made.status()).toBe(201);
    }
    const path = await link("bob@example.org");
    const { page, context } = await reader(1440, "light", false);
    await page.goto(path);
    await page.getByText("b…@example.org receives “Newsletters and offers”.").waitFor();
    await button(page, "Unsubscribe: Newsletters and offers").click();
    await page.getByRole("heading", { name: "You are unsubscribed" }).waitFor();
    await picture(page, "unsubscribe-done");
    await button(page, "Receive again: Newsletters and offers").click();
    await page.getByRole("heading", { name: /^Unsubscribe from/ }).waitFor();
    await button(page, "Unsubscribe: Special offers").click();
    await button(page, "Receive again: Special offers").waitFor();
    await button(page, "Unsubscribe: All messages").click();
    await page.getByRole("heading", { name: /^You receive nothing more/ }).waitFor();
    await picture(page, "unsubscribe-all");
    await button(page, "Receive again: All messages").click();
    await page.getByRole("link", { name: "Français" }).click();
    await page.getByRole("heading", { name: /^Se désabonner de/ }).waitFor();
    expect(await context.cookies()).toEqual([]);
    await context.close();
  });

  it("looks right in every width, and so does a link that is none", async () => {
    const path = await link("a.very.long.local.part.of.an.address@a-long-domain-name.subsidiary.example.org");
    const found: string[] = [];
    for (const [width, scheme] of VIEWS) {
      const { page, context } = await reader(width, scheme, true);
      for (const [name, at] of [
        ["unsubscribe", path],
        ["unsubscribe-french", `/fr${path}`],
        ["unsubscribe-none", "/u/none"],
      ] as const) {
        await page.goto(at);
        await settled(page);
        await picture(page, `${name}-${width}-${scheme}`);
        found.push(...(await obstacles(page, `${name} at ${width} px, ${scheme}`)));
      }
      await context.close();
    }
    expect(found).toEqual([]);
  }, 300_000);
});
