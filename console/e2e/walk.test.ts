/** One newcomer's walk through the console, against the real server: first start to the daily work. */
import type { Browser, Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { launch, OPERATOR, open, picture, settled, type View } from "./browser";
import { type Server, startServer } from "./server";

let server: Server;
let browser: Browser;
let view: View;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  view = await open(browser, server.url);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await picture(view.page, "where-the-walk-ended");
});

const rail = (name: string) =>
  view.page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true });

async function go(name: string) {
  await rail(name).click();
  await view.page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  await settled(view.page);
}

const text = async (where: Locator) => (await where.textContent()) ?? "";

/** What a toast says once something worked. */
const said = (text: string | RegExp) =>
  view.page.locator(".mantine-Notification-root").filter({ hasText: text }).first();

describe("a newcomer", () => {
  it("is led to the first start and told about a weak password", async () => {
    const { page } = view;
    await page.goto("/app/");
    await page.waitForURL("**/app/setup");
    await page.getByLabel("E-mail address").fill(OPERATOR.email);
    await page.getByLabel("Password", { exact: false }).first().fill("password12");
    await page.getByText(/^Strength: (Very weak|Weak|Not enough)/).waitFor();
    await page.goto(`/app/setup?token=${await server.token()}`);
    await page.getByLabel("E-mail address").fill(OPERATOR.email);
    await page.locator('input[autocomplete="new-password"]').fill("password12");
    await page.getByRole("button", { name: "Create the account" }).click();
    await page.locator("form [role=alert]").waitFor();
    expect(await page.getByLabel("E-mail address").inputValue()).toBe(OPERATOR.email);
  });

  it("creates the operator's account and is signed in", async () => {
    const { page } = view;
    await page.locator('input[autocomplete="new-password"]').fill(OPERATOR.password);
    await page.getByText(/^Strength: (Good|Strong)/).waitFor();
    await page.getByRole("button", { name: "Create the account" }).click();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await page.getByText("Nothing was sent yet.").waitFor();
    expect(await text(page.getByRole("region", { name: "swaks" }))).toContain(OPERATOR.email);
  });

  it("cannot set the installation up a second time", async () => {
    const other = await open(browser, server.url);
    await other.page.goto("/app/setup");
    await other.page.waitForURL("**/app/sign-in*");
    await other.context.close();
  });

  it("signs out, is refused with a wrong password and comes back to the page asked for", async () => {
    const { page } = view;
    await page.getByRole("button", { name: `Signed in as ${OPERATOR.email}` }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.goto("/app/smtp");
    await page.waitForURL("**/app/sign-in?next=*");
    await page.getByLabel("E-mail address").fill(OPERATOR.email);
    await page.getByLabel("Password").first().fill("not this one");
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.locator("form [role=alert]").waitFor();
    await page.locator('input[autocomplete="current-password"]').fill(OPERATOR.password);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "SMTP settings" }).waitFor();
  });

  it("finds settings that are this installation's own, ready to be copied", async () => {
    const { page } = view;
    await settled(page);
    const settings = page.getByRole("region", { name: "For any mail program" });
    expect(await text(settings)).toContain("mail.example.com");
    expect(await text(settings)).toContain(OPERATOR.email);
    await page.getByRole("button", { name: "Copy Server" }).click();
    await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe("mail.example.com");
    await page.getByText("This server's certificate is self-signed").waitFor();
    for (const program of ["Python", "Node", "PHP", "Thunderbird"]) {
      await page.getByRole("tab", { name: program }).click();
      expect(await text(page.getByRole("region", { name: program }))).toContain("mail.example.com");
    }
  });
});

describe("mail", () => {
  it("sent as a test is seen delivered on its page, without a reload", async () => {
    const { page } = view;
    await go("Send a test");
    await page.getByRole("textbox", { name: "To", exact: true }).fill(`bob@example.org, carol@example.net`);
    await page.getByRole("textbox", { name: "Subject" }).fill("Grüße aus dem Posthorn");
    await page.getByRole("button", { name: "Add an HTML part" }).click();
    await page
      .getByLabel("HTML", { exact: true })
      .fill("<h1>Tra-ra</h1><script>document.title='broken into'</script>");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "Grüße aus dem Posthorn" }).waitFor();
    const lanes = page.getByRole("article");
    await lanes.filter({ hasText: "bob@example.org" }).locator('[data-state="delivered"]').first().waitFor();
    await lanes
      .filter({ hasText: "carol@example.net" })
      .locator('[data-state="delivered"]')
      .first()
      .waitFor();
    await page.getByText("2 recipients", { exact: true }).waitFor();
  });

  it("shows its reply, its text, its headers and its source", async () => {
    const { page } = view;
    await page.getByText("kept in the local inbox").first().waitFor();
    const frame = page.frameLocator("iframe");
    await frame.getByRole("heading", { name: "Tra-ra" }).waitFor();
    expect(await page.title()).not.toContain("broken into");
    await page.getByRole("tab", { name: "Text" }).click();
    await page.getByRole("region", { name: "Text" }).getByText("sent from the console").waitFor();
    await page.getByRole("tab", { name: "Headers" }).click();
    await page.getByText("Message-ID", { exact: false }).nth(1).waitFor();
    await page.getByRole("tab", { name: "Source" }).click();
    await page.getByRole("region", { name: "Source" }).getByText("MIME-Version: 1.0").waitFor();
    await page.getByRole("tab", { name: "Log" }).click();
    await page.getByRole("table", { name: "Log" }).getByText("Delivered").first().waitFor();
  });

  it("that comes in while one reads the list waits to be shown, and the list stays where it is", async () => {
    const { page, context } = view;
    await go("Messages");
    await page.getByRole("link", { name: /bob@example\.org and 1 more/ }).waitFor();
    const answer = await context.request.post("/api/v1/messages", {
      data: { from: OPERATOR.email, to: ["dora@example.org"], subject: "While you read", text: "Hello" },
      headers: { Origin: server.url },
    });
    expect(answer.status()).toBe(202);
    const fresh = page.getByRole("button", { name: "Show 1 new message" });
    await fresh.waitFor();
    await expect.poll(() => page.getByRole("link", { name: "dora@example.org" }).count()).toBe(0);
    await fresh.click();
    const row = page.getByRole("row").filter({ hasText: "dora@example.org" });
    await row.locator('[data-state="delivered"]').waitFor();
  });

  it("is found by search and state, in an address that can be linked", async () => {
    const { page } = view;
    await page.getByLabel("Search").last().fill("dora@");
    await page.waitForURL(/[?&]q=dora/);
    await page.getByRole("link", { name: "dora@example.org" }).waitFor();
    await page.getByRole("link", { name: /bob@/ }).waitFor({ state: "detached" });
    const address = page.url();
    await page.goto(`${address}&state=bounced`);
    await page.getByText("Nothing matches these filters").waitFor();
    await page.getByRole("button", { name: "Clear filters" }).click();
    await page.getByRole("link", { name: /bob@/ }).waitFor();
    await page.goBack();
    await page.getByText("Nothing matches these filters").waitFor();
  });

  it("is found by Ctrl-K from anywhere", async () => {
    const { page } = view;
    await go("Account");
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("A page, a recipient, a message id").fill("dora@example.org");
    await page.getByRole("button", { name: /Messages with/ }).click();
    await page.waitForURL(/messages\?q=dora/);
    await page.getByRole("link", { name: "dora@example.org" }).click();
    await page.getByRole("heading", { level: 1, name: "While you read" }).waitFor();
  });

  it("lies in the inbox of the capture route, and can be destroyed there after a warning", async () => {
    const { page } = view;
    await go("Inbox");
    await page.getByRole("row").filter({ hasText: "dora@example.org" }).getByRole("link").click();
    await page.getByRole("heading", { level: 1, name: "While you read" }).waitFor();
    await page.getByRole("tab", { name: "Source" }).click();
    await page.getByRole("region", { name: "Source" }).getByText("Subject: While you read").waitFor();
    await page.getByRole("link", { name: "Back to Inbox" }).click();
    await page.getByRole("button", { name: "Empty the inbox" }).click();
    await page.getByRole("dialog").getByText("every account").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Destroy captured mail" }).click();
    await page.getByText("With the capture route, everything you send").waitFor();
  });

  it("from a sender that is not one's own is refused with the reason, and the form keeps what was typed", async () => {
    const { page } = view;
    await go("Send a test");
    await page.locator('input[data-path="from"]').fill("somebody@elsewhere.example");
    await page.getByRole("textbox", { name: "Subject" }).fill("Keep me");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.locator("form [role=alert]").waitFor();
    expect(await page.getByRole("textbox", { name: "Subject" }).inputValue()).toBe("Keep me");
  });
});

describe("a sending domain", () => {
  it("is added with records to publish, checked, and removed by its name", async () => {
    const { page } = view;
    await go("Sending domains");
    await page.getByRole("button", { name: "Add a domain" }).click();
    await page.getByRole("dialog").getByLabel("Domain").fill("shop.invalid");
    await page.getByRole("button", { name: "Add the domain" }).click();
    await page.getByRole("heading", { level: 1, name: "shop.invalid" }).waitFor();
    const record = page.getByRole("article", { name: "DKIM signature, RSA" });
    expect(await text(record)).toMatch(/_domainkey\.shop\.invalid/);
    await record.getByRole("button", { name: "Copy Value" }).click();
    await expect
      .poll(() => page.evaluate(() => navigator.clipboard.readText()))
      .toMatch(/^v=DKIM1;.*p=[A-Za-z0-9+/=]+$/);
    await page.getByRole("button", { name: "Check now" }).click();
    await page.getByText(/Last checked:/).waitFor();
    await page.getByRole("button", { name: "Make new keys" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Make new keys" }).click();
    await page.getByText("signs as soon as it is found").first().waitFor();
    await expect.poll(() => page.getByRole("article", { name: "DKIM signature, RSA" }).count()).toBe(2);
    await expect.poll(() => page.getByRole("button", { name: "Make new keys" }).isDisabled()).toBe(true);
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download as a zone file" }).click();
    expect((await download).suggestedFilename()).toBe("shop.invalid.zone");
    await page.getByRole("button", { name: "Remove", exact: true }).click();
    const dialog = page.getByRole("dialog");
    await expect
      .poll(() => dialog.getByRole("button", { name: "Remove the domain" }).isDisabled())
      .toBe(true);
    await dialog.getByLabel("Type shop.invalid to remove it").fill("shop.invalid");
    await dialog.getByRole("button", { name: "Remove the domain" }).click();
    await page.getByText("No sending domain yet").waitFor();
  });
});

describe("an API key", () => {
  it("is shown once, works, and is revoked", async () => {
    const { page } = view;
    await go("API keys");
    await page.getByRole("button", { name: "Create a key" }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Name" }).fill("Billing system");
    await dialog.getByRole("button", { name: "Create a key" }).click();
    const key = (await text(page.getByRole("region", { name: "Billing system" }))).trim();
    expect(key).toMatch(/^ph_/);
    const send = () =>
      fetch(`${server.url}/api/v1/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ from: OPERATOR.email, to: ["eve@example.org"], subject: "By key", text: "x" }),
      });
    expect((await send()).status).toBe(202);
    await page.getByRole("button", { name: "I have stored it" }).click();
    expect(await page.content()).not.toContain(key);
    await page.getByRole("button", { name: "Revoke: Billing system" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await page.getByText("No API keys").waitFor();
    expect((await send()).status).toBe(401);
  });
});

describe("an operator", () => {
  it("pauses the queue, sees mail wait in it, and lets it go on", async () => {
    const { page, context } = view;
    const send = (subject: string) =>
      context.request.post("/api/v1/messages", {
        data: { from: OPERATOR.email, to: ["frank@example.org"], subject, text: "x" },
        headers: { Origin: server.url },
      });
    await go("Queue");
    const lane = page
      .getByRole("row")
      .filter({ has: page.getByRole("button", { name: /^Actions for/ }) })
      .first();
    if ((await lane.count()) === 0) await send("To open the lane");
    await lane.waitFor();
    await lane.getByRole("button", { name: /^Actions for/ }).click();
    await page.getByRole("menuitem", { name: "Pause" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await lane.getByText("Paused").waitFor();
    const { id } = (await (await send("Held up")).json()) as { id: string };
    await page.goto(`/app/messages/${id}`);
    const state = page.getByRole("article").first();
    await state.locator('[data-state="queued"]').first().waitFor();
    await go("Overview");
    await page.getByText("Delivery to the local inbox is paused").waitFor();
    await go("Queue");
    await lane.getByRole("button", { name: /^Actions for/ }).click();
    await page.getByRole("menuitem", { name: "Resume" }).click();
    await said("goes on").waitFor();
    await page.goto(`/app/messages/${id}`);
    await state.locator('[data-state="delivered"]').first().waitFor();
  });

  it("opens an account, grants credits, suspends and resumes it", async () => {
    const { page } = view;
    await go("Accounts");
    await page.getByRole("button", { name: "Create an account" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("E-mail address").fill("customer@example.net");
    await dialog.locator('input[autocomplete="new-password"]').fill("another-long-horse-staple-7");
    await dialog.getByRole("button", { name: "Create an account" }).click();
    await page.getByRole("heading", { level: 1, name: "customer@example.net" }).waitFor();
    await page.getByRole("textbox", { name: "Credits" }).fill("12000");
    await page.getByRole("textbox", { name: "Reason" }).fill("First order");
    await page.getByRole("button", { name: "Grant credits" }).click();
    await said("12,000 credits were granted").waitFor();
    await page
      .getByRole("region", { name: "Details" })
      .getByText(/^12,[0-9]{3}$/)
      .waitFor();
    await page.getByRole("button", { name: "Suspend" }).click();
    await dialog.getByRole("textbox", { name: "Reason" }).fill("Too many bounces");
    await dialog.getByRole("button", { name: "Suspend the account" }).click();
    await page.getByText("Reason: Too many bounces").waitFor();

    const customer = await open(browser, server.url);
    await customer.page.goto("/app/sign-in");
    await customer.page.getByLabel("E-mail address").fill("customer@example.net");
    await customer.page.locator('input[autocomplete="current-password"]').fill("another-long-horse-staple-7");
    await customer.page.getByRole("button", { name: "Sign in", exact: true }).click();
    await customer.page.getByText(/This account is suspended and cannot send: Too many bounces/).waitFor();
    await expect.poll(() => customer.page.getByRole("link", { name: "Accounts" }).count()).toBe(0);
    await customer.context.close();

    await page.getByRole("button", { name: "Resume" }).click();
    await said("customer@example.net may send again").waitFor();
    await page.getByRole("link", { name: "Back to Accounts" }).click();
    await page.getByRole("row").filter({ hasText: "customer@example.net" }).getByText("Active").waitFor();
  });

  it("lets a network send without a password, and takes that back", async () => {
    const { page } = view;
    await go("IP ranges");
    await page.getByRole("button", { name: "Add a range" }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Range" }).fill("192.0.2.0/24");
    await dialog.getByRole("textbox", { name: "Account" }).fill("customer@example.net");
    await dialog.getByRole("textbox", { name: "Name" }).fill("Printers");
    await dialog.getByRole("button", { name: "Add" }).click();
    await page.getByRole("row").filter({ hasText: "192.0.2.0/24" }).waitFor();
    await page.getByRole("button", { name: "Remove: 192.0.2.0/24" }).click();
    await dialog.getByRole("button", { name: "Remove" }).click();
    await page.getByText("No IP ranges").waitFor();
  });

  it("shows who guesses passwords, locks them out, and lets them try again", async () => {
    const { page } = view;
    const guess = (password: string) =>
      fetch(`${server.url}/api/v1/session`, {
        method: "POST",
        headers: { "content-type": "application/json", origin: server.url, "user-agent": "guesser" },
        body: JSON.stringify({ email: "customer@example.net", password }),
      });
    for (let n = 0; n < 10; n++) expect((await guess(`guess ${n}`)).status).toBe(401);
    const locked = await guess("another-long-horse-staple-7");
    expect(locked.status).toBe(429);
    expect(Number(locked.headers.get("retry-after"))).toBeLessThanOrEqual(300);
    await go("Lockouts");
    await page
      .getByRole("row")
      .filter({ hasText: "customer@example.net" })
      .getByText("127.0.0.1/32")
      .waitFor();
    await page.getByRole("button", { name: "Lift: customer@example.net" }).click();
    await said("customer@example.net may sign in again").waitFor();
    await page.getByText("Nobody is locked out").waitFor();
    expect((await guess("another-long-horse-staple-7")).status).toBe(200);

    const customer = await open(browser, server.url);
    await customer.page.goto("/app/sign-in");
    await customer.page.getByLabel("E-mail address").fill("customer@example.net");
    await customer.page.locator('input[autocomplete="current-password"]').fill("another-long-horse-staple-7");
    await customer.page.getByRole("button", { name: "Sign in", exact: true }).click();
    await customer.page.getByRole("link", { name: "Sign-in attempts" }).click();
    const wrong = customer.page.getByRole("row").filter({ hasText: "Wrong password" });
    await wrong.filter({ hasText: "guesser" }).getByText("10", { exact: true }).waitFor();
    await wrong.getByText("type the password anew").waitFor();
    await customer.context.close();
  });
});

describe("the password", () => {
  it("is changed only with the current one, and the new one counts", async () => {
    const { page } = view;
    const fresh = "a-completely-different-trumpet-4";
    await go("Account");
    await page.locator('input[autocomplete="current-password"]').fill("not this one");
    await page.locator('input[autocomplete="new-password"]').fill(fresh);
    await page.getByRole("button", { name: "Change the password" }).click();
    await page.locator("form [role=alert]").waitFor();
    await page.locator('input[autocomplete="current-password"]').fill(OPERATOR.password);
    await page.getByRole("button", { name: "Change the password" }).click();
    await said("The password was changed").waitFor();
    const answer = await fetch(`${server.url}/api/v1/session`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: server.url },
      body: JSON.stringify({ email: OPERATOR.email, password: fresh }),
    });
    expect(answer.status).toBe(200);
  });
});

describe("all along", () => {
  it("no script broke and the content policy refused nothing", () => {
    // The mail with a script in it is the one exception: its frame must refuse it.
    const own = view.faults.filter((fault) => !/sandboxed|about:srcdoc|\/html/.test(fault));
    expect(own).toEqual([]);
  });
});
