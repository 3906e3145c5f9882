/** Credits as the people of an account see them: what is left, where it went, and how more come. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { launch, open, picture, settled, setUp, type View } from "./browser";
import { everywhere } from "./looks";
import { type Server, startServer } from "./server";

const CUSTOMER = { email: "customer@example.net", password: "another-long-horse-staple-7" };

let server: Server;
let browser: Browser;
let operator: View;
let customer: View;
let account: string;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  operator = await open(browser, server.url);
  await setUp(operator, await server.token(), server.url);
  ({ id: account } = await post<{ id: string }>(operator, "/accounts", { ...CUSTOMER, credits: 500 }));
  customer = await open(browser, server.url);
  await post(customer, "/session", CUSTOMER);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await picture(customer.page, "where-the-credits-ended");
});

async function post<T>(view: View, path: string, data: object): Promise<T> {
  const answer = await view.context.request.post(`/api/v1${path}`, {
    data,
    headers: { Origin: server.url },
  });
  expect(answer.ok(), `${path}: ${await answer.text()}`).toBe(true);
  return (await answer.json()) as T;
}

const send = (to: number) =>
  post(customer, "/messages", {
    from: CUSTOMER.email,
    to: Array.from({ length: to }, (_, i) => `reader${i}@example.org`),
    subject: "News",
    text: "Hello",
  });

const credits = (amount: number, reason: string) =>
  post(operator, `/accounts/${account}/credits`, { amount, reason });

const row = (text: string) => customer.page.getByRole("row").filter({ hasText: text });

describe("the credits of an account", () => {
  it("are told with every grant and what was used, each with what was left", async () => {
    await credits(12_000, "Pack of 12,000, invoice 4711");
    await credits(
      -500,
      "=HYPERLINK(evil) entered twice, so it is taken back; the first of the two stays as it was",
    );
    await send(400);
    const { page } = customer;
    await page.goto("/app/");
    await page.getByRole("link", { name: "11,600 credits left" }).click();
    await settled(page);
    await page.getByText("of 12,000 after the last grant").waitFor();
    await row("Accepted recipients").getByText("−400", { exact: true }).waitFor();
    await row("Accepted recipients").getByText("11,600", { exact: true }).waitFor();
    await row("Pack of 12,000").getByText("+12,000", { exact: true }).waitFor();
    await row("Credits to begin with").getByText("500", { exact: true }).first().waitFor();
  });

  it("come with a voucher that the operator made", async () => {
    const { page } = operator;
    await page.goto("/app/vouchers");
    await page.getByRole("button", { name: "Make vouchers" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("Reason").fill("Spring fair, hall 7");
    await form.getByLabel("Credits").fill("250");
    await form.getByLabel("Codes").fill("3");
    await form.getByLabel("Last day").fill("2999-12-31");
    await picture(page, "vouchers-form");
    await form.getByRole("button", { name: "Make vouchers" }).click();
    await page.getByText("This is the only time the 3 codes are shown").waitFor();
    await picture(page, "vouchers-once");
    const shown = await page.getByRole("region", { name: "Spring fair, hall 7" }).innerText();
    const [code = "", ...others] = shown.trim().split("\n");
    expect(code).toMatch(/^(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}$/);
    expect(others).toHaveLength(2);

    const own = customer.page;
    await own.goto("/app/account/credits");
    await own.getByLabel("Code").fill("0000-0000-0000-0000");
    await own.getByRole("button", { name: "Redeem" }).click();
    await own.getByText("This code cannot be redeemed").waitFor();
    await own.getByLabel("Code").fill(code.toLowerCase());
    await own.getByRole("button", { name: "Redeem" }).click();
    await own.getByText("250 credits were added").waitFor();
    await row("Spring fair, hall 7").getByText("+250", { exact: true }).waitFor();
    await own.getByText("11,850 credits left").first().waitFor();

    await page.reload();
    await page.getByRole("row").filter({ hasText: "Spring fair" }).getByText("1 of 3").waitFor();
    await expect.poll(() => page.getByText(code).count()).toBe(0);
  });

  it("are announced on top of the console until somebody puts it away", async () => {
    const { page } = operator;
    await page.goto("/app/announcements");
    await page.getByRole("button", { name: "Announce something" }).click();
    const form = page.getByRole("dialog");
    const text = "On Sunday from 06:00 to 07:00 UTC we move to another machine. <b>Mail</b> waits that long.";
    await form.getByLabel("Text").fill(text);
    await form.getByLabel("On the site too").check();
    await picture(page, "announcements-form");
    await form.getByRole("button", { name: "Announce", exact: true }).click();
    await page.getByRole("row").filter({ hasText: "Everybody and the site" }).waitFor();
    await post(operator, "/announcements", {
      text: "فاتورتكم متأخرة، يرجى الاتصال بنا.",
      severity: "warning",
      account_email: CUSTOMER.email,
    });
    await everywhere(browser, server.url, operator.context, {
      "account-with-ledger": `/app/accounts/${account}`,
      vouchers: "/app/vouchers",
      announcements: "/app/announcements",
    });
    const own = customer.page;
    await own.goto("/app/");
    await own.getByText(text).waitFor();
    await picture(own, "overview-with-announcements");
    await own.goto("/en/");
    await own.getByText(text).waitFor();
    await picture(own, "home-with-announcement");
    await own.goto("/app/");
    const notice = own.getByRole("note").filter({ hasText: text });
    await notice.getByRole("button", { name: "Put away" }).click();
    await notice.waitFor({ state: "detached" });
    await own.reload();
    await own.getByRole("note").first().waitFor();
    await expect.poll(() => own.getByRole("note").count()).toBe(1);
  }, 300_000);

  it("look right in every width and both colour schemes", async () => {
    await everywhere(browser, server.url, customer.context, { credits: "/app/account/credits" });
  }, 300_000);

  it("are few: every page says so", async () => {
    await credits(-11_850 + 20, "The pack was not paid");
    for (let n = 0; n < 19; n += 1) await send(1);
    const { page } = customer;
    await page.goto("/app/account/credits");
    await page.getByText("1 of 20 credits are left.").waitFor();
    await everywhere(browser, server.url, customer.context, {
      "credits-few": "/app/account/credits",
      "overview-credits-few": "/app/",
    });
    await send(1);
    await page.goto("/app/account/credits");
    await page.getByText("The credits are used up").waitFor();
    await everywhere(browser, server.url, customer.context, { "credits-gone": "/app/account/credits" });
  }, 300_000);

  it("are not counted where there is no limit", async () => {
    await operator.page.goto("/app/account/credits");
    await operator.page.getByText("This account has no limit").waitFor();
  });
});
