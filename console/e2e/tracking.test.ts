/** Opens and clicks: what readers did with tracked mail, on the message's page and in figures. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { OPERATOR, picture, settled } from "./browser";
import { everywhere } from "./looks";
import { stage } from "./stage";

const on = stage("tracking");

const AGENTS = {
  firefox: "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
  gmail: "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
  apple: "Mozilla/5.0",
};

interface Opened {
  items: { data: { count?: number } }[];
}

const sum = (opened: Opened) => opened.items.reduce((all, { data }) => all + (data.count ?? 1), 0);

async function api(path: string): Promise<string> {
  const answer = await on.view.context.request.get(`/api/v1${path}`);
  expect(answer.status(), path).toBe(200);
  return answer.text();
}

/** Sends a tracked message to `to`; the paths that its copy leads to. */
async function tracked(to: string): Promise<string[]> {
  const asked = `--server 127.0.0.1 --port ${on.server.smtpPort} --tls --auth PLAIN --auth-user ${OPERATOR.email} --from ${OPERATOR.email} --to ${to}`;
  const headers = ["X-Posthouse-Track: opens, clicks", "Content-Type: text/html", "Subject: Spring"];
  const body =
    '<p>Hello <a href="https://shop.example/offer?id=7">Offer</a> <a href="https://shop.example/c">C</a></p>';
  const sent = spawnSync(
    "swaks",
    [
      ...asked.split(" "),
      ...["--auth-password", OPERATOR.password],
      ...headers.flatMap((one) => ["--header", one]),
      ...["--body", body],
    ],
    { encoding: "utf8" },
  );
  expect(sent.stdout).toContain("250 2.0.0");
  let source = "";
  await expect
    .poll(async () => {
      const { items } = JSON.parse(await api("/inbox")) as { items: { id: string; recipient?: string }[] };
      for (const { id } of items) {
        const text = await api(`/inbox/${id}/source`);
        if (text.includes("/t/o/") && text.includes(to)) source = text;
      }
      return source;
    })
    .not.toBe("");
  return [...source.matchAll(/https?:\/\/[^/"]+(\/t\/[^"]+)"/g)].map(([, path]) => path ?? "");
}

async function fetches(path: string, agent: string): Promise<void> {
  await fetch(on.server.url + path, { headers: { "User-Agent": agent }, redirect: "manual" });
}

describe("tracked mail", () => {
  it("shows nothing while nobody read anything", async () => {
    const { page } = on.view;
    await page.goto("/app/tracking");
    await page.getByText("Nothing was opened or followed in this time").waitFor();
    await settled(page);
    await picture(page, "tracking-empty");
  });

  it("says who opened it and followed its links, and leaves machines out", async () => {
    const { page } = on.view;
    const first = await tracked("zoe@example.org");
    const second = await tracked("bob@example.org");
    const third = await tracked("eve@example.org");
    await on.server.pass(5);
    const [offer, , picture1] = first;
    await fetches(picture1 ?? "", AGENTS.gmail);
    await fetches(picture1 ?? "", AGENTS.gmail);
    await fetches(offer ?? "", AGENTS.firefox);
    await fetches(second[2] ?? "", AGENTS.firefox);
    await fetches(third[2] ?? "", AGENTS.apple);
    await on.server.pass(1);
    await expect
      .poll(async () => (JSON.parse(await api("/events?type=clicked")) as { items: unknown[] }).items.length)
      .toBe(1);
    // Those that come together are one event, which says how many.
    await expect.poll(async () => sum(JSON.parse(await api("/events?type=opened")) as Opened)).toBe(4);
    await page.goto("/app/tracking");
    const read = page.getByRole("region", { name: "Read with" });
    await read.getByRole("row", { name: /^Gmail/ }).waitFor();
    await read.getByRole("row", { name: /^Firefox/ }).waitFor();
    await page.getByText("By machines").first().waitFor();
    await page.getByRole("combobox", { name: "Stream" }).click();
    await page.getByRole("option", { name: "Marketing" }).click();
    await page.getByText("Nothing was opened or followed in this time").waitFor();
  });

  it("says so on the page of the message and in its log", async () => {
    const { page } = on.view;
    await page.goto("/app/messages");
    await page.getByRole("row").filter({ hasText: "zoe@example.org" }).getByRole("link").first().click();
    const lane = page.getByRole("article", { name: "zoe@example.org" });
    await lane.getByText(/Opened 2 times, first/).waitFor();
    await lane.getByText(/Link followed/).waitFor();
    await page.getByRole("tab", { name: "Log" }).click();
    await page.getByRole("table", { name: "Log" }).getByText("Opened").first().waitFor();
    await settled(page);
    await picture(page, "message-opened");
  });

  it("is switched off for a domain, and for the account over all", async () => {
    const { page } = on.view;
    await page.goto("/app/domains");
    await page.getByRole("button", { name: "Add a domain" }).click();
    await page.getByRole("dialog").getByLabel("Domain").fill("shop.invalid");
    await page.getByRole("button", { name: "Add the domain" }).click();
    await page.getByRole("heading", { level: 1, name: "shop.invalid" }).waitFor();
    for (const kind of ["RSA", "Ed25519"]) {
      const record = page.getByRole("article", { name: `DKIM signature, ${kind}` });
      await record.getByText("one of the two is enough").waitFor();
    }
    const tracking = page.getByRole("region", { name: "Tracking" });
    const opens = tracking.getByRole("switch", { name: "Opens may be tracked" });
    await expect.poll(() => opens.isChecked()).toBe(true);
    await opens.click();
    await page.getByText("Tracking of shop.invalid is changed").waitFor();
    await page.reload();
    await expect.poll(() => opens.isChecked()).toBe(false);
    await expect
      .poll(() => tracking.getByRole("switch", { name: "Clicks may be tracked" }).isChecked())
      .toBe(true);
    await settled(page);
    await picture(page, "domain-tracking");
    const domain = page.url();
    await page.goto("/app/account");
    const all = page.getByRole("switch", { name: "Mail of this account may be tracked" });
    await expect.poll(() => all.isChecked()).toBe(true);
    await all.click();
    await page.getByText("Nothing is tracked any more").waitFor();
    await settled(page);
    await picture(page, "account-tracking");
    await page.goto(domain);
    await tracking.getByText(/The account has switched tracking off/).waitFor();
  });

  it("looks right in every width", async () => {
    await everywhere(on.browser, on.server.url, on.view.context, { tracking: "/app/tracking" });
  }, 600_000);
});
