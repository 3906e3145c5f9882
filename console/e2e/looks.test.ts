/** Every page in every width and both colour schemes: a picture to look at, and nothing axe objects to. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launch, OPERATOR, open, setUp, type View } from "./browser";
import { everywhere } from "./looks";
import { type Server, startServer } from "./server";

let server: Server;
let browser: Browser;
let signedIn: View;
const paths: Record<string, string> = {};

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  signedIn = await open(browser, server.url);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

async function post<T>(path: string, data: object): Promise<T> {
  const answer = await signedIn.context.request.post(`/api/v1${path}`, {
    data,
    headers: { Origin: server.url },
  });
  expect(answer.ok(), `${path}: ${await answer.text()}`).toBe(true);
  return (await answer.json()) as T;
}

/** Ordinary mail, long names, right-to-left text, many recipients, no subject. */
const MAILS = [
  { to: ["bob@example.org"], subject: "Your invoice 2026-1123", text: "Attached." },
  { to: ["info@bücher.example"], subject: "مرحبا بكم في خدمة البريد لدينا", text: "مرحبا" },
  { to: ["carol@example.net"], subject: "", text: "No subject" },
  {
    to: [
      `${"a-very-long-mailbox-name-that-never-ends-".repeat(1)}at-all@${"sub.".repeat(12)}example-company.co.uk`,
    ],
    subject:
      "Weekly report of procurement, logistics and everything else that somebody put into a subject line",
    text: "Long",
  },
  {
    to: Array.from({ length: 30 }, (_, i) => `reader${i}@example.org`),
    subject: "Newsletter",
    text: "Hello",
  },
];

async function fill() {
  const ids: string[] = [];
  for (const mail of MAILS) {
    const { id } = await post<{ id: string }>("/messages", { from: OPERATOR.email, ...mail });
    ids.push(id);
  }
  const { id: domain } = await post<{ id: string }>("/domains", {
    name: "news.example-company-with-a-long-name.invalid",
  });
  await post("/suppressions", { address: "gone@example.net", note: "asked for it on the phone" });
  await post("/suppressions/import", {
    csv: `${"a-very-long-mailbox-name-that-never-ends-".repeat(1)}at-all@${"sub.".repeat(12)}example-company.co.uk`,
    stream: "marketing",
  });
  await post("/smtp-credentials", { name: "Web shop" });
  await post("/smtp-credentials", {
    name: "Test system of the procurement department with a long name",
    networks: ["192.0.2.0/28", "2001:db8:1::/48"],
    rate: 2_000,
    expires_at: "2099-12-31T23:59:59Z",
    sandbox: true,
  });
  await post("/users/invitations", { email: "colleague@example.net", role: "developer" });
  await post("/keys", { name: "Billing system", scopes: ["send", "messages"] });
  const { id: account } = await post<{ id: string }>("/accounts", {
    email: "customer@example.net",
    password: "another-long-horse-staple-7",
    operator: false,
    credits: 12_408,
  });
  await post("/credentials", {
    account_email: "customer@example.net",
    range: "2001:db8::/48",
    name: "Cluster",
  });
  paths.message = `/app/messages/${ids[0]}`;
  paths["message-many"] = `/app/messages/${ids[4]}`;
  paths["message-long"] = `/app/messages/${ids[3]}`;
  paths.domain = `/app/domains/${domain}`;
  paths["account-of-a-customer"] = `/app/accounts/${account}`;
}

const everyone = (context: View["context"], pages: Record<string, string>) =>
  everywhere(browser, server.url, context, pages);

describe("the console looks right and is accessible", () => {
  const LONG = 1_200_000;

  it("before anybody has an account", () => everyone(signedIn.context, { setup: "/app/setup" }), LONG);

  it(
    "before anybody is signed in",
    async () => {
      await setUp(signedIn, await server.token(), server.url);
      const nobody = (await open(browser, server.url)).context;
      await everyone(nobody, { "sign-in": "/app/sign-in" });
    },
    LONG,
  );

  it(
    "while there is nothing in it",
    () =>
      everyone(signedIn.context, {
        "empty-overview": "/app/",
        "empty-messages": "/app/messages",
        "empty-inbox": "/app/inbox",
        "empty-domains": "/app/domains",
        "empty-smtp-credentials": "/app/smtp-credentials",
        "empty-keys": "/app/keys",
        "empty-webhooks": "/app/webhooks",
        "empty-queue": "/app/queue",
        "empty-ranges": "/app/ranges",
        "empty-lockouts": "/app/lockouts",
        "empty-vouchers": "/app/vouchers",
        "empty-suppressions": "/app/suppressions",
        "empty-announcements": "/app/announcements",
      }),
    LONG,
  );

  it(
    "with mail, domains, keys and accounts in it",
    async () => {
      await fill();
      await signedIn.page.goto(paths["message-many"] ?? "");
      await signedIn.page
        .getByText(/^Delivered/)
        .first()
        .waitFor();
      await signedIn.page.goto("/app/inbox");
      const captured = signedIn.page
        .getByRole("row")
        .filter({ hasText: "bob@example.org" })
        .getByRole("link");
      paths["inbox-message"] = (await captured.getAttribute("href")) ?? "";
      const pages = {
        overview: "/app/",
        messages: "/app/messages",
        ...paths,
        smtp: "/app/smtp",
        send: "/app/send",
        domains: "/app/domains",
        "smtp-credentials": "/app/smtp-credentials",
        keys: "/app/keys",
        account: "/app/account",
        inbox: "/app/inbox",
        accounts: "/app/accounts",
        queue: "/app/queue",
        ranges: "/app/ranges",
        attempts: "/app/account/attempts",
        "credits-without-limit": "/app/account/credits",
        lockouts: "/app/lockouts",
        users: "/app/users",
        audit: "/app/account/audit",
        "audit-of-all": "/app/audit",
        "not-found": "/app/there/is/nothing",
      };
      await everyone(signedIn.context, pages);
    },
    LONG,
  );
});
