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

  it("look right in every width and both colour schemes", async () => {
    await everywhere(browser, server.url, customer.context, { credits: "/app/account/credits" });
  }, 300_000);

  it("are few: every page says so", async () => {
    await credits(-11_600 + 20, "The pack was not paid");
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
