/** Proving who one is: the password entered again, codes, passkeys. */
import { createHmac } from "node:crypto";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessible, launch, OPERATOR, open, picture, settled, setUp, type View } from "./browser";
import { everywhere } from "./looks";
import { type Server, startServer } from "./server";

let server: Server;
let browser: Browser;
let view: View;
let passed = 0;
/** Passkeys want a name. */
let url: string;

/** Time goes on at the server without anybody waiting for it. */
async function pass(seconds: number) {
  passed += seconds;
  await server.pass(seconds / 60);
}

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  url = server.url.replace("127.0.0.1", "localhost");
  view = await open(browser, url);
  await setUp(view, await server.token(), url);
  await settled(view.page);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

describe("the password, entered again", () => {
  const focused = () => view.page.evaluate(() => document.activeElement?.getAttribute("type"));
  const dialog = () => view.page.getByRole("dialog", { name: "Enter your password" });

  async function wantsKey(name: string) {
    const { page } = view;
    await page.goto("/app/keys");
    await settled(page);
    await page.getByRole("button", { name: "Create a key" }).first().click();
    const creating = page.getByRole("dialog", { name: "Create a key" });
    await creating.getByLabel("Name").fill(name);
    await creating.getByRole("button", { name: "Create a key" }).click();
  }

  it("is not asked for right after signing in", async () => {
    await wantsKey("First");
    await view.page.getByText("First").first().waitFor();
    await expect.poll(() => dialog().count()).toBe(0);
  });

  it("is asked for later, by keyboard alone, and what was wanted is done", async () => {
    const { page } = view;
    await pass(11 * 60);
    await wantsKey("Second");
    await dialog().waitFor();
    await expect.poll(focused).toBe("password");
    await accessible(page, "the dialog that asks for the password");
    await page.keyboard.type("not the password");
    await page.keyboard.press("Enter");
    await dialog().getByText("The password is not right.").waitFor();
    await page.keyboard.press("Control+a");
    await page.keyboard.type(OPERATOR.password);
    await page.keyboard.press("Enter");
    await dialog().waitFor({ state: "hidden" });
    await page.getByRole("row").filter({ hasText: "Second" }).waitFor();
  });

  it("may be left alone; the form behind it keeps what was typed", async () => {
    const { page } = view;
    await pass(11 * 60);
    await wantsKey("Third");
    await dialog().waitFor();
    await expect.poll(focused).toBe("password");
    await page.keyboard.press("Escape");
    await dialog().waitFor({ state: "hidden" });
    const creating = page.getByRole("dialog", { name: "Create a key" });
    await creating.getByText("Enter your password again").waitFor();
    expect(await creating.getByLabel("Name").inputValue()).toBe("Third");
  });

  it("is not looked at after ten wrong ones, and the dialog says how long", async () => {
    const { page } = view;
    for (let guess = 0; guess < 10; guess += 1) {
      const answer = await view.context.request.post("/api/v1/session/confirm", {
        data: { password: `guess ${guess}` },
        headers: { Origin: url },
      });
      expect(answer.status()).toBe(422);
    }
    const creating = page.getByRole("dialog", { name: "Create a key" });
    await creating.getByRole("button", { name: "Create a key" }).click();
    await dialog()
      .getByLabel(/^Password of/)
      .fill(OPERATOR.password);
    await page.keyboard.press("Enter");
    await dialog()
      .getByText(/Try again in \d+ seconds/)
      .waitFor();
    await accessible(page, "the dialog while the login is locked");
    await pass(6 * 60);
    await page.keyboard.press("Enter");
    await page.getByRole("row").filter({ hasText: "Third" }).waitFor();
  });
});

/** What an app with this key shows while the server's clock says what it says. */
function shows(secret: string): string {
  const bits = [...secret]
    .map((sign) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(sign).toString(2).padStart(5, "0"))
    .join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor((Date.now() / 1000 + passed) / 30)));
  const tag = createHmac("sha1", key).update(step).digest();
  const at = (tag[19] ?? 0) & 15;
  return String((tag.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

let secret = "";
let recovery: string[] = [];

async function signOut() {
  await view.context.clearCookies();
  await view.page.goto("/app/sign-in");
  await settled(view.page);
}

async function givePassword() {
  const { page } = view;
  await page.getByLabel("E-mail address").fill(OPERATOR.email);
  await page.getByLabel("Password").first().fill(OPERATOR.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

const isIn = () => view.page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();

describe("two-step sign-in", () => {
  it("is set up with an app, whose first code switches it on", async () => {
    const { page } = view;
    await page.goto("/app/account/security");
    await settled(page);
    await page.getByRole("button", { name: "Set up an app" }).click();
    await page.getByAltText("QR code with the key for your app").waitFor();
    secret = (await page.locator(".mono").first().textContent()) ?? "";
    expect(secret).toMatch(/^[A-Z2-7]{32}$/);
    await accessible(page, "the key of an app");
    await page.getByLabel("Code from the app").fill("000000");
    await page.keyboard.press("Enter");
    await page.getByText("The code is not right").waitFor();
    await page.getByLabel("Code from the app").fill(shows(secret));
    await page.keyboard.press("Enter");
    await page.getByText("Your recovery codes, shown this once").waitFor();
    await accessible(page, "recovery codes");
    recovery = ((await page.locator("pre").first().textContent()) ?? "").split("\n");
    expect(recovery).toHaveLength(10);
    await page.getByRole("button", { name: "I have kept them" }).click();
    await page.getByText("10 left").waitFor();
  });

  it("asks whether the password is to be kept off SMTP, where no code is asked for", async () => {
    const { page } = view;
    await page.getByText("Your password still signs in over SMTP").waitFor();
    await page.getByRole("button", { name: "Keep the password off SMTP" }).click();
    const dialog = page.getByRole("dialog", { name: "Keep the password off SMTP?" });
    await accessible(page, "the question about SMTP");
    await dialog.getByRole("button", { name: "Leave it" }).click();
    await dialog.waitFor({ state: "hidden" });
  });

  it("asks for a code behind the password", async () => {
    const { page } = view;
    await signOut();
    await givePassword();
    await page.getByRole("heading", { level: 1, name: "Second step" }).waitFor();
    await accessible(page, "the second step");
    const field = page.getByLabel("Code from your app, or a recovery code");
    await field.fill("000000");
    await page.keyboard.press("Enter");
    await page.getByText("The code is not right").waitFor();
    await pass(30);
    await field.fill(shows(secret));
    await page.keyboard.press("Enter");
    await isIn();
  });

  it("takes a recovery code, once", async () => {
    const { page } = view;
    for (const [again, words] of [
      [false, "Overview"],
      [true, "Second step"],
    ] as const) {
      await signOut();
      await givePassword();
      await page.getByLabel("Code from your app, or a recovery code").fill(recovery[0] ?? "");
      await page.keyboard.press("Enter");
      if (again) await page.getByText("The code is not right").waitFor();
      await page.getByRole("heading", { level: 1, name: words }).waitFor();
    }
  });

  it("works on the site without a script, and goes on in the console", async () => {
    const still = await open(browser, url, { javaScriptEnabled: false });
    const { page } = still;
    await page.goto("/login?next=/help/credits");
    await page.getByLabel("E-mail address").fill(OPERATOR.email);
    await page.getByLabel("Password").first().fill(OPERATOR.password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { level: 1, name: "Second step" }).waitFor();
    await pass(30);
    await page.getByLabel("Code from your app").fill(shows(secret));
    await page.getByRole("button", { name: "Go on" }).click();
    await page.waitForURL("**/help/credits");
    await still.context.close();
  });
});

describe("passkeys", () => {
  /** Whether the device finds that it is its owner who uses it. */
  let recognises: (owner: boolean) => Promise<unknown>;

  async function device() {
    const cdp = await view.context.newCDPSession(view.page);
    await cdp.send("WebAuthn.enable");
    const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    recognises = (isUserVerified) =>
      cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });
  }

  it("are added with a name", async () => {
    const { page } = view;
    await signOut();
    await givePassword();
    await pass(30);
    await page.getByLabel("Code from your app, or a recovery code").fill(shows(secret));
    await page.keyboard.press("Enter");
    await isIn();
    await device();
    await page.goto("/app/account/security");
    await settled(page);
    await page.getByRole("button", { name: "Add a passkey" }).click();
    const dialog = page.getByRole("dialog", { name: "Add a passkey" });
    await dialog.getByLabel("Name").fill("Laptop");
    await dialog.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("row").filter({ hasText: "Laptop" }).waitFor();
  });

  it("sign in without password and code", async () => {
    const { page } = view;
    await signOut();
    await page.getByRole("button", { name: "Sign in with a passkey" }).click();
    await isIn();
  });

  it("do as the second step", async () => {
    const { page } = view;
    await signOut();
    await givePassword();
    await page.getByRole("button", { name: "Use a passkey" }).click();
    await isIn();
  });

  it("do where the password is asked for again", async () => {
    const { page } = view;
    await pass(11 * 60);
    await page.goto("/app/keys");
    await settled(page);
    await page.getByRole("button", { name: "Create a key" }).first().click();
    const creating = page.getByRole("dialog", { name: "Create a key" });
    await creating.getByLabel("Name").fill("By passkey");
    await creating.getByRole("button", { name: "Create a key" }).click();
    const asks = page.getByRole("dialog", { name: "Enter your password" });
    const use = asks.getByRole("button", { name: "Use a passkey instead" });
    await use.waitFor();
    await accessible(page, "the dialog that takes a passkey as well");
    await picture(page, "password-or-passkey");
    // Whoever leaves the browser's own dialog can still do either.
    await recognises(false);
    await use.click();
    await asks.getByText("No passkey was used.").waitFor();
    await recognises(true);
    await use.click();
    await asks.waitFor({ state: "hidden" });
    await page.getByRole("row").filter({ hasText: "By passkey" }).waitFor();
  });

  it("show when they were used, and where one is signed in is shown beside them", async () => {
    const { page } = view;
    await page.goto("/app/account/security");
    await settled(page);
    const row = page.getByRole("row").filter({ hasText: "Laptop" });
    await row.waitFor();
    // When it was added, and when it was used.
    await expect.poll(() => row.locator("time").count()).toBe(2);
    await page.getByText("This one").waitFor();
    await page.getByRole("button", { name: "Sign out everywhere else" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Sign out everywhere else" }).click();
    await expect.poll(() => page.getByRole("button", { name: /^Sign out:/ }).count()).toBe(0);
  });
});

describe("the pages", () => {
  it("look right everywhere", async () => {
    await everywhere(browser, url, view.context, {
      security: "/app/account/security",
      "help-two-steps": "/help/two-step-sign-in",
    });
    await signOut();
    await givePassword();
    await view.page.getByRole("heading", { level: 1, name: "Second step" }).waitFor();
    await everywhere(browser, url, view.context, {
      "second-step": "/app/sign-in",
      "second-step-site": "/login/code",
      "login-site": "/login",
      cookies: "/cookies",
    });
  }, 600_000);

  it("two-step sign-in is switched off with password and code", async () => {
    const { page } = view;
    // Anew: a password that waits for its second step counts for five minutes only.
    await signOut();
    await givePassword();
    await page.getByRole("button", { name: "Use a passkey" }).click();
    await isIn();
    await page.goto("/app/account/security");
    await settled(page);
    await page.getByRole("button", { name: "Switch off" }).click();
    const dialog = page.getByRole("dialog", { name: "Switch two-step sign-in off?" });
    await dialog.getByLabel("Password").first().fill(OPERATOR.password);
    await dialog.getByLabel("Code from the app, or a recovery code").fill(recovery[1] ?? "");
    await accessible(page, "the dialog that switches the second step off");
    await dialog.getByRole("button", { name: "Switch off" }).click();
    await dialog.waitFor({ state: "hidden" });
    await signOut();
    await givePassword();
    await isIn();
  });
});
