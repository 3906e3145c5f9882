/** A stranger's walk without JavaScript: an account opened, its first mail, a password forgotten, a lock and its end. */
import { execFile } from "node:child_process";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { launch, OPERATOR, obstacles, open, picture, settled, setUp, type View } from "./browser";
import { VIEWS } from "./looks";
import { type Server, startServer } from "./server";

const EMAIL = "ada@example.net";
const FIRST = "violet-harbour-lantern-52";
const SECOND = "seven-mules-before-noon-18";

let server: Server;
let browser: Browser;
/** Reads the inbox, where all mail of this installation stays. */
let operator: View;
/** A browser that runs no script. */
let plain: View;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer({ POSTHOUSE__ACCOUNTS__SIGNUP: "open" }), launch()]);
  operator = await open(browser, server.url);
  await setUp(operator, await server.token(), server.url);
  plain = await open(browser, server.url, { javaScriptEnabled: false });
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await picture(plain.page, "where-the-sign-up-ended");
});

interface Kept {
  id: string;
  subject: string;
}

/** The link of the newest mail to the stranger with this subject. */
async function linkIn(subject: string): Promise<string> {
  let link: string | undefined;
  const look = async () => {
    const list = await operator.context.request.get(`/api/v1/inbox?q=${encodeURIComponent(EMAIL)}`);
    const { items } = (await list.json()) as { items: Kept[] };
    const mail = items.find((item) => item.subject.startsWith(subject));
    if (!mail) return undefined;
    const content = await operator.context.request.get(`/api/v1/inbox/${mail.id}/content`);
    link = /https?:\/\/\S+/.exec(((await content.json()) as { text: string }).text)?.[0];
    return link;
  };
  await expect.poll(look, { timeout: 30_000 }).toBeTruthy();
  // The installation calls itself localhost, and the browser was sent to an address: a cookie of one is not sent to the other.
  const { pathname, search } = new URL(link ?? "");
  return pathname + search;
}

/** Sends a mail as a program does; how swaks ended: 0 when it was accepted, 28 when the password was not. */
function swaks(password: string): Promise<number> {
  const asked = `--server 127.0.0.1 --port ${server.smtpPort} --tls --auth PLAIN --auth-user ${EMAIL} --from ${EMAIL} --to ${EMAIL}`;
  const whole = [...asked.split(" "), "--auth-password", password, "--header", "Subject: First mail"];
  return new Promise((ended) => {
    execFile("swaks", whole, (error) => ended(error ? Number(error.code) : 0));
  });
}

/** What the account of the stranger has left. */
async function credits(): Promise<number> {
  const answer = await plain.context.request.get("/api/v1/session");
  const text = await answer.text();
  expect(answer.status(), text).toBe(200);
  return (JSON.parse(text) as { account: { credits: number } }).account.credits;
}

async function fill(fields: Record<string, string>, button: string) {
  const { page } = plain;
  for (const [label, text] of Object.entries(fields))
    await page.getByLabel(label, { exact: true }).fill(text);
  await page.getByRole("button", { name: button }).click();
}

describe("a stranger without JavaScript", () => {
  it("hears why a password is too weak, and what was typed stays", async () => {
    const { page } = plain;
    await page.goto("/en/");
    await page.getByRole("link", { name: "Try it for free" }).first().click();
    await page.getByLabel("Country").selectOption({ label: "France" });
    await page.getByLabel("Time zone").selectOption("Europe/Paris");
    await fill({ "E-mail address": EMAIL, Password: "password1234" }, "Create the account");
    await page.getByRole("alert").getByText("Many people have this password").waitFor();
    expect((await page.getByRole("alert").innerText()).length).toBeGreaterThan(60);
    expect(await page.getByLabel("E-mail address").inputValue()).toBe(EMAIL);
    expect(await page.getByLabel("Country").inputValue()).toBe("FR");
    expect(await page.getByLabel("Time zone").inputValue()).toBe("Europe/Paris");
    expect(await page.getByLabel("Password").inputValue()).toBe("");
  });

  it("opens an account by the link in the mail and the chosen password", async () => {
    const { page } = plain;
    await fill({ Password: FIRST }, "Create the account");
    await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
    expect(await swaks(FIRST)).toBe(28);
    await page.goto(await linkIn("Confirm your address"));
    await fill({ "The password that you chose": "not that one at all" }, "Confirm");
    await page.getByRole("alert").waitFor();
    await fill({ "The password that you chose": FIRST }, "Confirm");
    await page.waitForURL("**/app/");
    expect(await credits()).toBe(500);
  });

  it("sends a first mail with the same address and password, and sees it in the console", async () => {
    expect(await swaks(FIRST)).toBe(0);
    const console = await open(browser, server.url, { storageState: await plain.context.storageState() });
    await console.page.goto("/app/messages");
    await console.page.getByRole("row").filter({ hasText: "First mail" }).waitFor();
    await settled(console.page);
    await picture(console.page, "sign-up-first-mail");
    await console.context.close();
    expect(await credits()).toBe(499);
  });

  it("gets back in without the password, and the old one is over everywhere", async () => {
    const { page } = plain;
    const before = await open(browser, server.url, { storageState: await plain.context.storageState() });
    await plain.context.clearCookies();
    await page.goto("/en/login");
    await page.getByRole("link", { name: /forgot/i }).click();
    await fill({ "E-mail address": EMAIL }, "Send the link");
    await page.getByText("If the address has an account here").waitFor();
    await page.goto(await linkIn("Choose a new password"));
    await fill({ "New password": SECOND }, "Save the password");
    await page.waitForURL("**/app/");
    expect(await swaks(FIRST)).toBe(28);
    expect(await swaks(SECOND)).toBe(0);
    expect((await before.context.request.get("/api/v1/session")).status()).toBe(401);
    await before.context.close();
    // The link works once.
    await page.goto(await linkIn("Choose a new password"));
    await fill({ "New password": FIRST }, "Save the password");
    await page.getByRole("alert").getByText("used up").waitFor();
  });

  it("reads on the help page which device still uses the old password, and what is wrong with its settings", async () => {
    const { page } = plain;
    await expect
      .poll(
        async () => {
          await page.goto("/en/help/authentication-failed");
          return await page.getByText("An old password, right until").count();
        },
        { timeout: 30_000 },
      )
      .toBeGreaterThan(0);
    await page.getByLabel("Server", { exact: true }).fill("smtp.example.com");
    await page.getByLabel("Port", { exact: true }).fill("25");
    await page.getByLabel("Security", { exact: true }).selectOption("none");
    await fill({ Username: "ada" }, "Check");
    const said = page.getByRole("alert");
    for (const text of [
      "this service is mail.example.com",
      "Port 25 is for mail between servers",
      "with the @",
    ])
      await said.getByText(text).waitFor();
    await page.getByLabel("Server", { exact: true }).fill("mail.example.com");
    await page.getByLabel("Port", { exact: true }).fill(String(server.smtpPort));
    await page.getByLabel("Security", { exact: true }).selectOption("starttls");
    await fill({ Username: EMAIL }, "Check");
    await page.getByRole("status").getByText("These settings are right.").waitFor();
    // What a signed-in reader sees is not what a stranger sees.
    await plain.context.clearCookies();
    await page.goto("/en/help/authentication-failed");
    await expect.poll(() => page.getByText("An old password, right until").count()).toBe(0);
    await page.getByText("Log in to see here which of your devices failed").waitFor();
  });

  it("is locked out after ten wrong passwords, and gets in when the time is over", async () => {
    const { page } = plain;
    await page.goto("/en/login");
    for (let n = 0; n < 10; n++) {
      await fill({ "E-mail address": EMAIL, Password: `wrong password ${n}` }, "Log in");
      await page.getByRole("alert").waitFor();
    }
    await fill({ "E-mail address": EMAIL, Password: SECOND }, "Log in");
    await page
      .getByRole("alert")
      .getByText(/minutes/)
      .waitFor();
    await picture(page, "login-locked");
    await server.pass(6);
    await fill({ "E-mail address": EMAIL, Password: SECOND }, "Log in");
    await page.waitForURL("**/app/");
  });
});

describe("the pages with forms", () => {
  const PAGES: Record<string, string> = {
    "sign-up": "/en/sign-up",
    "sign-up-french": "/fr/sign-up",
    confirm: `/en/sign-up/confirm?token=${"A".repeat(44)}`,
    forgot: "/en/password/forgot",
    "forgot-french": "/fr/password/forgot",
    reset: `/en/password/reset?token=${"A".repeat(44)}`,
    "login-form": "/fr/login",
    trouble: "/en/help/authentication-failed",
  };

  const JUDGED = new Set(["sign-up", "sign-up-french", "reset"]);

  for (const [width, scheme] of VIEWS) {
    it(`look right and are accessible at ${width} px, ${scheme}`, async () => {
      const viewport = { width, height: width < 768 ? 740 : 900 };
      const looks = { viewport, colorScheme: scheme };
      const stranger = await open(browser, server.url, looks);
      const ada = await open(browser, server.url, {
        ...looks,
        storageState: await plain.context.storageState(),
      });
      const found: string[] = [];
      const look = async ({ page }: View, name: string) => {
        await picture(page, `form-${name}-${width}-${scheme}`);
        found.push(...(await obstacles(page, `${name} at ${width} px, ${scheme}`)));
      };
      for (const [name, path] of Object.entries(PAGES)) {
        await stranger.page.goto(path);
        // Complete without a script. The one there is judges a new password while it is typed.
        const scripts = await stranger.page.locator("script").count();
        expect(scripts, name).toBe(JUDGED.has(name) ? 1 : 0);
        await look(stranger, name);
      }
      await ada.page.goto("/en/help/authentication-failed");
      await look(ada, "trouble-of-a-reader");
      await stranger.page.goto("/en/help/authentication-failed");
      await stranger.page.getByLabel("Server", { exact: true }).fill("192.0.2.1");
      await stranger.page.getByLabel("Port", { exact: true }).fill("26");
      await stranger.page.getByLabel("Username", { exact: true }).fill("ada");
      await stranger.page.getByRole("button", { name: "Check" }).click();
      await stranger.page.getByRole("alert").first().waitFor();
      await look(stranger, "trouble-checked");
      expect([...found, ...stranger.faults, ...ada.faults]).toEqual([]);
      await stranger.context.close();
      await ada.context.close();
    }, 120_000);
  }

  it("show attempts and lockouts to those whose they are", async () => {
    for (let n = 0; n < 10; n++) {
      await operator.context.request.post("/api/v1/session", {
        data: { email: "nobody@example.net", password: `guess ${n}` },
        headers: { Origin: server.url },
      });
    }
    for (const [width, scheme] of VIEWS) {
      const looks = { viewport: { width, height: 900 }, colorScheme: scheme };
      const found: string[] = [];
      for (const [name, path, who] of [
        ["attempts", "/app/account/attempts", plain],
        ["lockouts", "/app/lockouts", operator],
      ] as const) {
        const view = await open(browser, server.url, {
          ...looks,
          storageState: await who.context.storageState(),
        });
        await view.page.goto(path);
        await settled(view.page);
        await view.page
          .locator("main")
          .getByText(who === plain ? /password/i : "nobody@example.net")
          .filter({ visible: true })
          .first()
          .waitFor();
        // When it was, or when it ends, is what one looks for on any screen.
        await expect
          .poll(() => view.page.locator("tbody time").filter({ visible: true }).count())
          .toBeGreaterThan(0);
        await picture(view.page, `${name}-with-data-${width}-${scheme}`);
        found.push(...(await obstacles(view.page, `${name} at ${width} px, ${scheme}`)), ...view.faults);
        await view.context.close();
      }
      expect(found).toEqual([]);
    }
  }, 300_000);
});

// The operator is signed in all the while: that a stranger is locked out touches nobody else.
it("leaves the operator signed in", async () => {
  const me = await operator.context.request.get("/api/v1/session");
  expect(((await me.json()) as { login: { email: string } }).login.email).toBe(OPERATOR.email);
});
