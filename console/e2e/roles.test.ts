/** Several people in one account: an invitation followed from its mail, each role's walk of the rail, and the end. */
import { execFileSync } from "node:child_process";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessible, launch, OPERATOR, open, picture, settled, setUp, type View } from "./browser";
import { type Server, startServer } from "./server";

const BOB = "bob@example.net";
const PASSWORD = "seven-green-lanterns-by-the-river";

let server: Server;
let browser: Browser;
let owner: View;
let bob: View;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  owner = await open(browser, server.url);
  await setUp(owner, await server.token(), server.url);
  bob = await open(browser, server.url);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** The link in the newest mail to `BOB`, or nothing while there is none. */
async function arrived(): Promise<string> {
  const list = await owner.context.request.get(`/api/v1/inbox?q=${encodeURIComponent(BOB)}`);
  const mail = (await list.json()).items[0];
  if (!mail) return "";
  const content = await owner.context.request.get(`/api/v1/inbox/${mail.id}/content`);
  return /\/join\?token=\w+/.exec((await content.json()).text)?.[0] ?? "";
}

async function link(): Promise<string> {
  await expect.poll(arrived, { timeout: 20_000 }).not.toBe("");
  return arrived();
}

const rail = (view: View) => view.page.getByRole("navigation", { name: "Pages" }).getByRole("link");

/** The owner gives Bob a role on the page, and Bob looks at the console anew. */
async function given(role: string) {
  await owner.page.goto("/app/users");
  await owner.page.getByRole("combobox", { name: `Role of ${BOB}` }).click();
  await owner.page.getByRole("option", { name: role, exact: true }).click();
  await owner.page.getByText(`${BOB} is now: ${role}`).waitFor();
  await bob.page.goto("/app/");
  await settled(bob.page);
}

describe("users of an account", () => {
  it("are invited on the page and come by the link in their mail", async () => {
    const { page } = owner;
    await page.goto("/app/users");
    await settled(page);
    await page.getByRole("button", { name: "Invite a user" }).click();
    await page.getByLabel("E-mail address").fill(BOB);
    await page.getByLabel("Admin").check();
    await page.getByRole("button", { name: "Send the invitation" }).click();
    await page.getByText(`${BOB} is invited`).waitFor();
    await accessible(page, "users");
    await picture(page, "users-invited");
    await bob.page.goto(await link());
    await bob.page.getByText(OPERATOR.email).waitFor();
    await accessible(bob.page, "join");
    await picture(bob.page, "join");
    await bob.page.getByLabel("Password").fill(PASSWORD);
    await bob.page.getByRole("button", { name: "Join" }).click();
    await bob.page.getByRole("heading", { level: 1 }).waitFor();
    expect(new URL(bob.page.url()).pathname).toMatch(/^\/app/);
  });

  it("send by SMTP with their own address and password", () => {
    const asked = `--server 127.0.0.1 --port ${server.smtpPort} --tls --auth PLAIN --auth-user ${BOB} --from ${BOB} --to zoe@example.org`;
    const said = execFileSync("swaks", [...asked.split(" "), "--auth-password", PASSWORD], {
      encoding: "utf8",
    });
    expect(said).toContain("250 2.0.0");
  });

  it("see the places that their role opens, and why another stays closed", async () => {
    for (const [role, open, closed] of [
      ["Admin", ["Users", "Audit log", "API keys", "Queue", "Send a test"], []],
      ["Developer", ["API keys", "Send a test"], ["Users", "Queue"]],
      ["Marketer", ["Send a test"], ["API keys", "Users", "Queue"]],
      ["Viewer", ["Messages", "Sending domains"], ["Send a test", "API keys", "Users", "Queue"]],
    ] as const) {
      if (role !== "Admin") await given(role);
      const shown = await rail(bob).allInnerTexts();
      for (const place of open) expect(shown, role).toContain(place);
      for (const place of closed) expect(shown, role).not.toContain(place);
    }
    await bob.page.goto("/app/users");
    await bob.page.getByRole("heading", { name: "Your role does not open this page" }).waitFor();
    await accessible(bob.page, "beyond-role");
    await picture(bob.page, "beyond-role");
    await bob.page.goto("/app/domains");
    await settled(bob.page);
    await expect.poll(() => bob.page.getByRole("button", { name: "Add a domain" }).count()).toBe(0);
  });

  it("are out at once when they are removed, and the audit log says who did what", async () => {
    const { page } = owner;
    await page.goto("/app/users");
    await page.getByRole("button", { name: `Remove: ${BOB}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }).click();
    await page.getByText(`${BOB} is removed`).waitFor();
    expect((await bob.context.request.get("/api/v1/session")).status()).toBe(401);
    await page.goto("/app/account/audit");
    await settled(page);
    const rows = await page.getByRole("row").allInnerTexts();
    expect(rows.filter((row) => row.includes(BOB)).length).toBeGreaterThanOrEqual(6);
    await accessible(page, "audit");
    await picture(page, "audit-log");
    expect([...owner.faults, ...bob.faults]).toEqual([]);
  });
});
