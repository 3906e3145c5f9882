/** Statistics as charts and tables, how long mail is kept, the reference of the API and a request tried for real. */
import { describe, expect, it } from "vitest";
import { OPERATOR, picture, settled } from "./browser";
import { everywhere } from "./looks";
import { stage } from "./stage";

const on = stage("statistics");

const said = (text: string | RegExp) =>
  on.view.page.locator(".mantine-Notification-root").filter({ hasText: text }).first();

async function send(to: string[], more: object = {}) {
  const answer = await on.view.context.request.post("/api/v1/messages", {
    data: { from: OPERATOR.email, to, subject: "Hello", text: "Hello", ...more },
    headers: { Origin: on.server.url },
  });
  expect(answer.status(), await answer.text()).toBe(202);
}

describe("how long mail is kept", () => {
  it("is chosen after a word about what goes", async () => {
    const { page } = on.view;
    await page.goto("/app/account");
    await page.getByText("Now, in days: content 3, messages 30").waitFor();
    await page.getByRole("textbox", { name: "Content, in days" }).fill("1");
    await page.getByRole("button", { name: "Save" }).click();
    await page
      .getByRole("dialog")
      .getByText(/From now on, in days: content 1/)
      .waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
    await said("The new times hold").waitFor();
    await page.getByText("Now, in days: content 1, messages 30").waitFor();
  });
});

describe("statistics", () => {
  it("say that there is nothing before anything was sent", async () => {
    const { page } = on.view;
    await page.goto("/app/statistics");
    await page.getByText("Nothing was sent in these days.").first().waitFor();
  });

  it("show what became of mail by day, stream, domain and provider", async () => {
    const { page } = on.view;
    for (let day = 0; day < 6; day += 1) {
      for (let n = 0; n <= day; n += 1) await send([`a${n}@example.org`, `b${n}@example.net`]);
      await on.server.pass(24 * 60);
    }
    await send(["unknown@example.org"], { stream: "marketing" });
    await send(["hard-bounce@simulator.mail.example.com"]);
    await expect
      .poll(async () => {
        const answer = await on.view.context.request.get("/api/v1/statistics");
        return ((await answer.json()) as { total: { delivered: number; bounced: number } }).total;
      })
      .toMatchObject({ delivered: 43, bounced: 1 });
    await page.goto("/app/statistics?days=7");
    await page.getByRole("img", { name: /^Recipients by day\. 43 delivered/ }).waitFor();
    await page.getByRole("cell", { name: "marketing" }).waitFor();
    await settled(page);
    await picture(page, "statistics");
    await page.getByRole("combobox", { name: "Stream" }).click();
    await page.getByRole("option", { name: "Marketing" }).click();
    await page.getByRole("img", { name: /^Recipients by day\. 1 delivered/ }).waitFor();
    expect(page.url()).toContain("stream=marketing");
    await settled(page);
    await picture(page, "statistics-stream");
    await page.goto("/app/statistics?days=7");
    const sheet = page.waitForEvent("download");
    await page.getByRole("link", { name: "CSV: By stream" }).click();
    expect((await sheet).suggestedFilename()).toBe("statistics.csv");
  });

  it("look right in every width", async () => {
    await everywhere(on.browser, on.server.url, on.view.context, {
      statistics: "/app/statistics?days=7",
      try: "/app/try?operation=sendMessage",
      "docs-api": "/docs/api/",
      "docs-api-send": "/docs/api/send",
      "account-retention": "/app/account",
    });
  }, 600_000);
});

describe("the list of messages", () => {
  it("is narrowed to a kind of bounce", async () => {
    const { page } = on.view;
    await page.goto("/app/messages");
    await page.getByRole("combobox", { name: "Kind of bounce" }).click();
    await page.getByRole("option", { name: "The mailbox does not exist" }).click();
    await expect.poll(() => page.getByRole("row").count()).toBe(2);
    expect(page.url()).toContain("class=unknown_mailbox");
    await settled(page);
    await picture(page, "messages-class");
  });
});

describe("the API", () => {
  it("is tried from its reference", async () => {
    const { page } = on.view;
    await page.goto("/docs/api/statistics");
    await page.getByRole("link", { name: "Try it in the console" }).first().click();
    await page.getByText("GET /api/v1/statistics", { exact: true }).waitFor();
    await page.getByRole("textbox", { name: "by" }).fill("stream");
    await page.getByRole("button", { name: "Send the request" }).click();
    await page.getByText("200 OK").waitFor();
    await page.getByText('"name": "transactional"').waitFor();
    await settled(page);
    await picture(page, "try-answer");
  });
});
