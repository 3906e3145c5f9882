/** An account that is paused by itself: what its owner sees, what the operator sees and does, and that mail goes on. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { launch, open, picture, settled, setUp, type View } from "./browser";
import { everywhere } from "./looks";
import { type Server, startServer } from "./server";
import { type Sink, startSink } from "./sink";

const CUSTOMER = { email: "newsletter@customer.example", password: "another-long-horse-staple-7" };
const LONG = 240_000;

let sink: Sink;
let server: Server;
let browser: Browser;
let operator: View;
let customer: View;
let account: string;
let waiting: string;

beforeAll(async () => {
  sink = await startSink();
  [server, browser] = await Promise.all([
    startServer({ POSTHOUSE__DELIVERY__ROUTE: `smtp://127.0.0.1:${sink.port}` }),
    launch(),
  ]);
  operator = await open(browser, server.url);
  await setUp(operator, await server.token(), server.url);
  customer = await open(browser, server.url);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  await sink?.stop();
});

afterEach(async ({ task }) => {
  if (task.result?.state !== "fail") return;
  await picture(operator.page, "where-the-guard-ended-operator");
  await picture(customer.page, "where-the-guard-ended-customer");
});

async function request<T>(view: View, method: "POST" | "PUT" | "GET", path: string, data?: object) {
  const answer = await view.context.request.fetch(`/api/v1${path}`, {
    method,
    ...(data && { data }),
    headers: { Origin: server.url },
  });
  expect(answer.ok(), `${path}: ${await answer.text()}`).toBe(true);
  return (await answer.json()) as T;
}

/** How often each recipient whose mailbox is full was tried. */
async function tries() {
  const mail = await request<{ recipients: { attempts: object[] }[] }>(
    customer,
    "GET",
    `/messages/${waiting}`,
  );
  return mail.recipients.map(({ attempts }) => attempts.length);
}

const people = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${name}${i}@receiver.example`);

describe("an account whose recipients bounce", () => {
  it(
    "is paused, and its owner reads why on every page",
    async () => {
      const made = await request<{ id: string }>(operator, "POST", "/accounts", {
        ...CUSTOMER,
        credits: 12_408,
      });
      account = made.id;
      await request(operator, "PUT", `/accounts/${account}/limits`, { recipients: 2_000, first_time: 1_000 });
      await request(customer, "POST", "/session", CUSTOMER);
      const mails = [
        ["full", 4],
        ["reader", 150],
        ["gone", 70],
      ] as const;
      for (const [name, count] of mails) {
        const sent = await request<{ id: string }>(customer, "POST", "/messages", {
          from: CUSTOMER.email,
          to: people(name, count),
          subject: `Newsletter for ${name}`,
          text: "Hello",
        });
        if (name === "full") waiting = sent.id;
      }
      await expect
        .poll(() => request<{ state: string; held: number }>(operator, "GET", `/accounts/${account}/guard`), {
          timeout: 60_000,
        })
        .toMatchObject({ state: "paused", held: 4 });
      await customer.page.goto("/app/");
      const banner = customer.page.getByRole("alert").filter({ hasText: "This account is paused" });
      await banner.getByText(/of the last \d+ recipients bounced, more than 8 %/).waitFor();
      await banner.getByText("write to the operator, who decides").waitFor();
      await banner.getByRole("link", { name: "What to do" }).waitFor();
    },
    LONG,
  );

  it(
    "looks as it should to both",
    async () => {
      await everywhere(browser, server.url, customer.context, {
        "paused-overview": "/app/",
        "paused-account": "/app/account",
      });
      await everywhere(browser, server.url, operator.context, {
        "paused-accounts": "/app/accounts",
        "paused-account-of-a-customer": `/app/accounts/${account}`,
      });
    },
    LONG,
  );

  it("gets other limits, and is resumed by the operator", async () => {
    const { page } = operator;
    await page.goto(`/app/accounts/${account}`);
    await settled(page);
    const recipients = page.getByRole("radiogroup", { name: "Recipients a day" });
    await recipients.getByRole("radio", { name: "No limit" }).check();
    await page.getByRole("button", { name: "Save the limits" }).click();
    await page.getByText("The limits count from now on").waitFor();
    const before = await tries();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByText(`${CUSTOMER.email} may send again`).waitFor();
    // What was held is tried at once; on its way it could not be held again.
    await expect.poll(async () => (await tries()).every((n, at) => n > (before[at] ?? 0))).toBe(true);
    await page.getByRole("button", { name: "Suspend" }).waitFor();
    await customer.page.reload();
    await settled(customer.page);
    await expect.poll(() => customer.page.getByText("This account is paused").count()).toBe(0);
  });

  it("has its mail held on suspension, and returned with a word about how much", async () => {
    const { page } = operator;
    await page.getByRole("button", { name: "Suspend" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Reason" }).fill("Whose list is this?");
    await dialog.getByRole("checkbox", { name: "Hold its mail that waits" }).check();
    await dialog.getByRole("button", { name: "Suspend the account" }).click();
    await expect
      .poll(() => request<{ held: number }>(operator, "GET", `/accounts/${account}/guard`), {
        timeout: 30_000,
      })
      .toMatchObject({ held: 4 });
    await page.reload();
    await page.getByRole("button", { name: "Return held mail" }).click();
    await page.getByText("Gives up 4 recipients.").waitFor();
    await page.getByRole("button", { name: "Return it" }).click();
    await page.getByText("4 recipients are given up").waitFor();
  });

  it(
    "is not how accounts are opened: the operator chooses that on the page of all",
    async () => {
      const { page } = operator;
      await page.goto("/app/accounts");
      await page.getByRole("radio", { name: "By invitation" }).click();
      await page.getByText("Opening an account takes an invitation now").waitFor();
      await page.getByRole("textbox", { name: "Invite somebody" }).fill("guest@example.org");
      await page.getByRole("button", { name: "Send the invitation" }).click();
      await page.getByText("guest@example.org is written to").waitFor();
      await everywhere(browser, server.url, operator.context, { "accounts-by-invitation": "/app/accounts" });
    },
    LONG,
  );
});
