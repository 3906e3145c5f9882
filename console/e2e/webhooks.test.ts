/** Webhooks as a developer uses them: add one, keep its secret, see what it was told, test, pause, replay. */
import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server as Receiver } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { OPERATOR, picture, settled } from "./browser";
import { everywhere } from "./looks";
import { stage } from "./stage";

interface Call {
  headers: IncomingHttpHeaders;
  body: string;
}

let receiver: Receiver;
let url: string;
let answer = { status: 200, body: "thank you" };
const calls: Call[] = [];
const on = stage("webhooks", async () => {
  receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (data) => {
      body += data;
    });
    request.on("end", () => {
      calls.push({ headers: request.headers, body });
      response.writeHead(answer.status).end(answer.body);
    });
  });
  await new Promise<void>((listening) => receiver.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/posthouse`;
  return { POSTHOUSE__WEBHOOKS__ALLOW_PRIVATE: "true" };
});

afterAll(() => {
  receiver?.close();
});

async function send(to: string) {
  const sent = await on.view.context.request.post("/api/v1/messages", {
    data: { from: OPERATOR.email, to: [to], subject: "News", text: "Hello" },
    headers: { Origin: on.server.url },
  });
  expect(sent.ok(), await sent.text()).toBe(true);
}

/** Whether the secret that the console showed signs this call. */
function signed({ headers, body }: Call, secret: string): boolean {
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const text = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const ours = createHmac("sha256", key).update(text).digest("base64");
  return String(headers["webhook-signature"]).split(" ").includes(`v1,${ours}`);
}

const types = () => calls.map(({ body }) => (JSON.parse(body) as { type: string }).type);

const row = (text: string) => on.view.page.getByRole("row").filter({ hasText: text });

/** Every width in both schemes. */
const LONG = 600_000;

describe("webhooks in the console", () => {
  let secret: string;

  it("are added with a secret that is shown once", async () => {
    const { page } = on.view;
    await page.goto("/app/webhooks");
    await settled(page);
    await page.getByText("No webhook yet").waitFor();
    await page.getByRole("button", { name: "Add a webhook" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("URL").fill("ftp://example.com/");
    await form.getByRole("button", { name: "Add a webhook" }).click();
    await form.getByText("It has to begin with https:// or http://.").waitFor();
    await form.getByLabel("URL").fill(url);
    await form.getByLabel("Description").fill("Web shop");
    await picture(page, "webhooks-form");
    await form.getByRole("button", { name: "Add a webhook" }).click();
    await page.getByText("The secret is shown this once").waitFor();
    secret = (await page.getByRole("region", { name: "Secret" }).innerText()).trim();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    await picture(page, "webhooks-once");
    await page.getByRole("button", { name: "I have kept it" }).click();
    await row("Web shop").getByText("Active").waitFor();
  });

  it("show what they were told, and the answer to it", async () => {
    const { page } = on.view;
    await page.getByRole("link", { name: "Web shop" }).click();
    await page.getByRole("button", { name: "Send a test" }).click();
    await row("test").getByText("Delivered").waitFor();
    await send("zoe@example.net");
    // Every row that arrived says "Delivered"; this one says it of its type as well.
    const type = page.getByRole("cell", { name: "delivered", exact: true });
    await page.getByRole("row").filter({ has: type }).getByText("Delivered", { exact: true }).waitFor();
    await row("accepted").getByText("Delivered").waitFor();
    await expect.poll(() => types().sort()).toEqual(["accepted", "delivered", "test"]);
    expect(calls.every((call) => signed(call, secret))).toBe(true);
    await row("accepted").getByRole("button", { name: "Look" }).click();
    const one = page.getByRole("dialog");
    await one.getByText("Status 200").waitFor();
    await one.getByText("thank you").waitFor();
    await picture(page, "webhook-delivery");
    await one.getByRole("button", { name: "Close" }).click();
  });

  it(
    "keep a failure, and send it again when asked",
    async () => {
      const { page } = on.view;
      answer = { status: 410, body: "gone" };
      await send("yan@example.net");
      await page.getByText("asks for no more messages").waitFor();
      await row("Failed").first().waitFor();
      await everywhere(on.browser, on.server.url, on.view.context, {
        "webhook-paused": new URL(page.url()).pathname,
      });
      answer = { status: 204, body: "" };
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByRole("button", { name: "Pause" }).waitFor();
      await row("Failed").first().getByRole("button", { name: "Look" }).click();
      const before = calls.length;
      await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
      await page.getByText("Status 204").waitFor();
      expect(calls.length).toBeGreaterThan(before);
      await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
      await page.getByRole("button", { name: "Replay a time range" }).click();
      const form = page.getByRole("dialog");
      await form.getByLabel("From").fill("2020-01-01T00:00");
      await form.getByLabel("To").fill("2099-01-01T00:00");
      await picture(page, "webhook-replay");
      await form.getByRole("button", { name: "Send again" }).click();
      // Two mails, and the one about the pause, which the first operator sends.
      await page.getByText("6 events are on their way again").waitFor();
    },
    LONG,
  );

  it(
    "look right with much in them",
    async () => {
      const long = `${url}/${"a-long-path-".repeat(8)}?token=${"x".repeat(60)}`;
      const made = await on.view.context.request.post("/api/v1/webhooks", {
        data: {
          url: long,
          description: "The warehouse of the procurement department, which is told of bounces and complaints",
          types: ["bounced", "complained", "expired", "suppressed"],
        },
        headers: { Origin: on.server.url },
      });
      expect(made.ok()).toBe(true);
      const { webhook } = (await made.json()) as { webhook: { id: string } };
      await everywhere(on.browser, on.server.url, on.view.context, {
        webhooks: "/app/webhooks",
        "webhook-long": `/app/webhooks/${webhook.id}`,
      });
    },
    LONG,
  );

  it("are deleted by name", async () => {
    const { page } = on.view;
    await page.goto("/app/webhooks");
    await page.getByRole("link", { name: "Web shop" }).click();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("The webhook was deleted").waitFor();
    await expect.poll(() => page.getByRole("link", { name: "Web shop" }).count()).toBe(0);
  });
});
