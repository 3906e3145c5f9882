/** Mail that bounces and mail that waits: what the console says of it, beside the reply as it came. */
import { afterAll, describe, expect, it } from "vitest";
import { OPERATOR, picture, settled } from "./browser";
import { everywhere } from "./looks";
import { type Sink, startSink } from "./sink";
import { stage } from "./stage";

let sink: Sink;
const on = stage("the-trouble", async () => {
  sink = await startSink();
  return { POSTHOUSE__DELIVERY__ROUTE: `smtp://127.0.0.1:${sink.port}` };
});

afterAll(() => sink?.stop());

async function send(to: string[], subject: string): Promise<string> {
  const answer = await on.view.context.request.post("/api/v1/messages", {
    data: { from: OPERATOR.email, to, subject, text: "Hello" },
    headers: { Origin: on.server.url },
  });
  expect(answer.ok(), await answer.text()).toBe(true);
  return ((await answer.json()) as { id: string }).id;
}

/** Opens a message and waits until each recipient is in the state it ends up in. */
async function openMessage(id: string, states: Record<string, string>) {
  const { page } = on.view;
  await page.goto(`/app/messages/${id}`);
  for (const [address, state] of Object.entries(states)) {
    const lane = page.getByRole("article", { name: address });
    await lane.locator(`[data-state="${state}"]`).first().waitFor();
  }
  await settled(page);
}

const pages: Record<string, string> = {};

/** The column of the queue that says how many wait. */
const WAITING = 2;

describe("mail that did not arrive", () => {
  it("says in plain words that the mailbox does not exist, with the reply as it came", async () => {
    const id = await send(["gone@receiver.example"], "To somebody who left");
    await openMessage(id, { "gone@receiver.example": "bounced" });
    const lane = on.view.page.getByRole("article", { name: "gone@receiver.example" });
    await lane.getByText("The mailbox does not exist").first().waitFor();
    await lane.getByText("550 5.1.1 <gone@receiver.example> User unknown").first().waitFor();
    pages["message-bounced"] = `/app/messages/${id}`;
  });

  it("says why mail waits and when it is tried next", async () => {
    const id = await send(["full@receiver.example"], "To a full mailbox");
    await openMessage(id, { "full@receiver.example": "deferred" });
    const lane = on.view.page.getByRole("article", { name: "full@receiver.example" });
    await lane.getByText("The mailbox is full").first().waitFor();
    await lane
      .getByText(/next try/i)
      .first()
      .waitFor();
    await on.view.page.getByRole("button", { name: "Retry now" }).waitFor();
    pages["message-deferred"] = `/app/messages/${id}`;
  });

  it("keeps the recipients of one message apart", async () => {
    const id = await send(
      [
        "anna@receiver.example",
        "blocked@receiver.example",
        "greylisted@receiver.example",
        "gone-too@receiver.example",
      ],
      "To four people",
    );
    await openMessage(id, {
      "anna@receiver.example": "delivered",
      "blocked@receiver.example": "bounced",
      "greylisted@receiver.example": "deferred",
      "gone-too@receiver.example": "bounced",
    });
    pages["message-of-four-fates"] = `/app/messages/${id}`;
  });

  it("leads from the overview to what failed and what waits", async () => {
    const { page } = on.view;
    await page.goto("/app/");
    await settled(page);
    const failures = page.getByRole("region", { name: "Latest failures" });
    await failures.getByRole("link", { name: "gone@receiver.example" }).waitFor();
    await page.getByRole("link", { name: "All that wait" }).click();
    await page.getByRole("row").filter({ hasText: "full@receiver.example" }).waitFor();
    await expect
      .poll(() => page.getByRole("row").filter({ hasText: "gone@receiver.example" }).count())
      .toBe(0);
  });

  it("shows the operator how many wait for the lane", async () => {
    const { page } = on.view;
    await page.goto("/app/queue");
    await settled(page);
    const lane = page.getByRole("row").filter({ hasText: "receiver.example" });
    await expect.poll(() => lane.getByRole("cell").nth(WAITING).innerText()).toBe("2");
  });

  it("sees what happened between the page's answer and the opening of the live stream", async () => {
    const { page } = on.view;
    let release = () => {};
    const released = new Promise<void>((done) => {
      release = done;
    });
    await page.route("**/api/v1/live", async (route) => {
      await released;
      await route.continue();
    });
    const id = await send(["greylisted-later@receiver.example"], "While nobody listens");
    // The page is told that the message still waits for its first try, whatever became of it meanwhile.
    await page.route(
      `**/api/v1/messages/${id}`,
      async (route) => {
        const answer = await route.fetch();
        const early = (await answer.text()).replaceAll('"deferred"', '"queued"');
        await route.fulfill({ response: answer, body: early });
      },
      { times: 1 },
    );
    await page.goto(`/app/messages/${id}`);
    const lane = page.getByRole("article", { name: "greylisted-later@receiver.example" });
    await lane.locator('[data-state="queued"]').first().waitFor();
    release();
    await lane.locator('[data-state="deferred"]').first().waitFor();
    await page.unrouteAll({ behavior: "wait" });
  });

  it("looks right in every width and both colour schemes", async () => {
    await everywhere(on.browser, on.server.url, on.view.context, {
      ...pages,
      "overview-with-trouble": "/app/",
      "messages-with-trouble": "/app/messages",
      "queue-with-trouble": "/app/queue",
    });
  }, 600_000);

  it("is told on every page that the server takes nothing new, and who runs it what to do", async () => {
    const { page } = on.view;
    const told = async (storage: string, operator: boolean) => {
      await page.route("**/api/v1/session", async (route) => {
        const answer = await route.fetch();
        const me = await answer.json();
        const account = { ...me.account, operator };
        await route.fulfill({
          response: answer,
          json: { ...me, account, server: { ...me.server, storage } },
        });
      });
      await page.goto("/app/messages");
      await settled(page);
      const banner = page.getByRole("alert").filter({ hasText: "New mail is refused for now" });
      const text = await banner.textContent();
      await picture(page, `storage-${storage}${operator ? "-operator" : ""}`);
      await page.unrouteAll({ behavior: "wait" });
      return text;
    };
    expect(await told("full", true)).toMatch(/disk is full.*Make room/);
    expect(await told("full", false)).toMatch(/disk is full.*whoever runs this server/);
    expect(await told("failing", true)).toMatch(/takes no writes.*The log says why/);
    await page.goto("/app/messages");
    await settled(page);
    await expect.poll(() => page.getByText("New mail is refused for now").count()).toBe(0);
  });

  it("is told at once that nothing gets out, and what waits says why", async () => {
    const { page } = on.view;
    await sink.stop();
    await openMessage(await send(["anna@elsewhere.example"], "Nobody answers"), {
      "anna@elsewhere.example": "deferred",
    });
    // How much waits is measured now and then, and the page asks for it last of all.
    await expect
      .poll(async () => {
        await send(["anna@elsewhere.example"], "Nobody answers yet");
        const queue = page.waitForResponse((response) => response.url().endsWith("/api/v1/queue"));
        await page.goto("/app/");
        await queue;
        await settled(page);
        return page.getByText(/keeps mail waiting/).count();
      })
      .toBeGreaterThan(0);
    await picture(page, "overview-behind-a-dead-relay");
    const id = await send(["bert@elsewhere.example"], "Waits with the others");
    // As it is told of mail that comes while the destination rests, which may be over before the page is there.
    await page.route(`**/api/v1/messages/${id}`, async (route) => {
      const answer = await route.fetch();
      const mail = (await answer.json()) as { recipients: object[] };
      const resting = {
        state: "queued",
        reason: "waiting: connection refused",
        explanation: null,
        attempts: [],
      };
      const recipients = mail.recipients.map((recipient) => ({ ...recipient, ...resting }));
      await route.fulfill({ response: answer, json: { ...mail, recipients } });
    });
    await openMessage(id, { "bert@elsewhere.example": "queued" });
    await page.getByText("Its destination took no mail lately, so it waits: connection refused").waitFor();
    await page.unrouteAll({ behavior: "wait" });
  });
});
