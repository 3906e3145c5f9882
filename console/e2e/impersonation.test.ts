/** An operator sees the console as an account: the reason asked for, the banner on every page, what stays shut, and the way out. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { accessible, launch, OPERATOR, open, picture, settled, setUp, type View } from "./browser";
import { everywhere } from "./looks";
import { type Server, startServer } from "./server";

const CUSTOMER = { email: "newsletter@customer.example", password: "another-long-horse-staple-7" };
const REASON = "You asked why the newsletter waits.";
const LONG = 240_000;

let server: Server;
let browser: Browser;
let operator: View;
let customer: View;
let account: string;
let message: string;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  operator = await open(browser, server.url);
  await setUp(operator, await server.token(), server.url);
  customer = await open(browser, server.url);
  account = (await request<{ id: string }>(operator, "/accounts", { ...CUSTOMER, credits: 12_408 })).id;
  await request(customer, "/session", CUSTOMER);
  await request(customer, "/domains", { name: "customer.example" });
  const sent = await request<{ id: string }>(customer, "/messages", {
    from: CUSTOMER.email,
    to: ["reader@receiver.example"],
    subject: "Spring newsletter",
    text: "The words inside",
  });
  message = sent.id;
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await picture(operator.page, "where-the-impersonation-ended");
});

async function request<T>(view: View, path: string, data: object) {
  const headers = { Origin: server.url };
  const answer = await view.context.request.post(`/api/v1${path}`, { data, headers });
  expect(answer.ok(), `${path}: ${await answer.text()}`).toBe(true);
  return (await answer.json()) as T;
}

const banner = () => operator.page.getByRole("region", { name: "Seeing as another account" });

describe("an operator who sees the console as an account", () => {
  it(
    "says why, and then sees whose it is on every page",
    async () => {
      const { page } = operator;
      await page.goto(`/app/accounts/${account}`);
      await page.getByRole("button", { name: "See the console as this account" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("button", { name: "See it" }).click();
      await dialog.getByText("Say why.").waitFor();
      await accessible(page, "the question why");
      await picture(page, "impersonation-asks-why");
      await dialog.getByRole("textbox", { name: "Reason" }).fill(REASON);
      await dialog.getByRole("button", { name: "See it" }).click();
      for (const place of ["/app/", "/app/messages", "/app/domains", "/app/smtp", "/app/account"]) {
        if (place !== "/app/") await page.goto(place);
        await banner().getByText(`You see the console as ${CUSTOMER.email}.`).waitFor();
        await banner().getByText(`${OPERATOR.email}, until`).waitFor();
      }
      const rail = page.getByRole("navigation", { name: "Pages" });
      const places = await rail.getByRole("link").all();
      const paths = await Promise.all(places.map((place) => place.getAttribute("href")));
      expect(paths).toContain("/app/messages");
      for (const shut of ["/app/account/security", "/app/account/attempts", "/app/keys", "/app/users"])
        expect(paths).not.toContain(shut);
      for (const path of paths) {
        await page.goto(path ?? "");
        await settled(page);
        await expect
          .poll(() => page.getByText("This is not yours to see").count(), { message: path ?? "" })
          .toBe(0);
      }
    },
    LONG,
  );

  it("is offered no sheet that would be refused", async () => {
    const { page } = operator;
    for (const place of ["/app/messages", "/app/statistics", "/app/suppressions"]) {
      await page.goto(place);
      await settled(page);
      await banner().getByText(`You see the console as ${CUSTOMER.email}.`).waitFor();
      await expect.poll(() => page.locator("a[download]").count(), { message: place }).toBe(0);
      await customer.page.goto(place);
      await customer.page.locator("a[download]").first().waitFor();
    }
  });

  it("reads what became of mail, and not what it says", async () => {
    const { page } = operator;
    for (const place of [`/app/messages/${message}`, "/app/inbox"]) {
      await page.goto(place);
      await settled(page);
      await page.getByText("Spring newsletter").first().waitFor();
    }
    await page.getByText("Spring newsletter").first().click();
    await page.getByText("What a message says is for the account’s own people.").waitFor();
    await expect.poll(() => page.getByText("The words inside").count()).toBe(0);
    for (const shut of ["/app/account/security", "/app/account/attempts", "/app/keys", "/app/users"]) {
      await page.goto(shut);
      await page.getByRole("heading", { name: "This page stays shut" }).waitFor();
    }
    expect(operator.faults).toEqual([]);
  });

  it(
    "looks as it should",
    async () => {
      await everywhere(browser, server.url, operator.context, {
        "impersonation-overview": "/app/",
        "impersonation-message": `/app/messages/${message}`,
        "impersonation-account": "/app/account",
        "impersonation-shut": "/app/account/security",
      });
    },
    LONG,
  );

  it(
    "leaves, and both logs and the owner know",
    async () => {
      const { page } = operator;
      await page.goto("/app/messages");
      await banner().getByRole("button", { name: "Leave" }).click();
      await page.getByRole("button", { name: "See the console as this account" }).waitFor();
      await expect.poll(() => banner().count()).toBe(0);
      await page.goto("/app/audit?what=impersonation");
      await page.getByText(`${REASON} (left)`).first().waitFor();
      await customer.page.goto("/app/account/audit?what=impersonation");
      await customer.page.getByText(`${REASON} (left)`).waitFor();
      await expect.poll(() => customer.page.getByText(OPERATOR.email).count()).toBe(0);
      await everywhere(browser, server.url, customer.context, {
        "impersonation-in-the-log": "/app/account/audit?what=impersonation",
      });
      await page.goto("/app/inbox");
      await page.getByText("looks at your account").first().click();
      await page.frameLocator("iframe").getByText(REASON).waitFor();
    },
    LONG,
  );

  it("is led back to their own console when it is over", async () => {
    const { page, context } = operator;
    await request(operator, `/accounts/${account}/impersonation`, { reason: REASON });
    // A page that asks for nothing by itself: what it asked would lead back before the click.
    const announced = page.waitForResponse((response) => response.url().endsWith("/account/announcements"));
    await page.goto("/app/suppressions");
    await announced;
    await settled(page);
    await banner().waitFor();
    // Ended elsewhere: what the browser has left opens nothing.
    const cookies = await context.cookies();
    const elsewhere = await browser.newContext({ baseURL: server.url });
    await elsewhere.addCookies(cookies);
    const headers = { Origin: server.url };
    const ended = await elsewhere.request.delete("/api/v1/session/impersonation", { headers });
    expect(ended.ok()).toBe(true);
    await elsewhere.close();
    await page.getByRole("link", { name: "Sending domains" }).first().click();
    await page.getByRole("heading", { name: "Accounts", level: 1 }).waitFor();
    await expect.poll(() => banner().count()).toBe(0);
  });
});
