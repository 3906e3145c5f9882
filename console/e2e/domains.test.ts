/** A domain whose links have a name of their own: what its page says of the certificate for it. */
import { afterAll, describe, expect, it } from "vitest";
import { type Dns, type DnsRecord, startDns } from "./dns";
import { everywhere } from "./looks";
import { stage } from "./stage";

let dns: Dns;
const on = stage("the-domain", async () => {
  dns = await startDns();
  return {
    POSTHOUSE__HTTP__PUBLIC_URL: "http://mail.example.com",
    POSTHOUSE__DELIVERY__RESOLVER: dns.address,
    POSTHOUSE__ACME__DOMAINS: "mail.example.com",
    // Nobody listens there.
    POSTHOUSE__ACME__DIRECTORY: "https://127.0.0.1:1/directory",
  };
});

afterAll(() => dns?.stop());

describe("a domain", () => {
  it("says how the certificate for its links stands", async () => {
    const { page, context } = on.view;
    const answer = await context.request.post("/api/v1/domains", {
      data: { name: "shop.example" },
      headers: { Origin: on.server.url },
    });
    const domain = (await answer.json()) as { id: string; records: (DnsRecord & { purpose: string })[] };
    for (const record of domain.records) {
      if (record.purpose === "dkim_rsa" || record.purpose === "links") dns.publish(record);
    }
    await page.goto(`/app/domains/${domain.id}`);
    const links = page.getByRole("article", { name: /^Links/ });
    await links.waitFor();
    expect(await links.getByText("Certificate", { exact: true }).count()).toBe(0);
    // A page that is loaded anew takes its request back, and the check with it.
    const checked = page.waitForResponse((answer) => answer.url().endsWith("/check"));
    await page.getByRole("button", { name: "Check now" }).click();
    expect((await checked).status()).toBe(200);
    await expect
      .poll(async () => {
        await page.reload();
        return links.textContent();
      })
      .toContain("None yet, so links have the name of this server.");
    expect(await links.textContent()).toContain("The certificate authority could not be asked");
    await everywhere(on.browser, on.server.url, context, {
      "domain-certificate": `/app/domains/${domain.id}`,
    });
  }, 300_000);
});
