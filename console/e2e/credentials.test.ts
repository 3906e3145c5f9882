/** SMTP credentials: made, shown once, revoked; and the switch that keeps the login's password off SMTP. */
import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { accessible, OPERATOR, open, picture, settled } from "./browser";
import { everywhere } from "./looks";
import { stage } from "./stage";

const on = stage("credentials");
let password = "";

const said = (text: string | RegExp) =>
  on.view.page.locator(".mantine-Notification-root").filter({ hasText: text }).first();

describe("an SMTP credential", () => {
  it("is made with what it is bound to, and its password is shown once", async () => {
    const { page } = on.view;
    await page.goto("/app/smtp-credentials");
    await page.getByText("No SMTP credentials").waitFor();
    await page.getByRole("button", { name: "Create a credential" }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Name" }).fill("Web shop");
    await dialog.getByRole("textbox", { name: "Only from these addresses" }).fill("192.0.2.0/28, nowhere");
    await dialog.getByRole("button", { name: "Create a credential" }).click();
    await dialog.getByText(/is neither an IP address nor a range/).waitFor();
    await dialog.getByRole("textbox", { name: "Only from these addresses" }).fill("192.0.2.0/28");
    await dialog.getByRole("textbox", { name: "Recipients an hour" }).fill("500");
    await settled(page);
    await picture(page, "credential-dialog");
    await dialog.getByRole("button", { name: "Create a credential" }).click();
    const alert = page.getByRole("alert").filter({ hasText: "This is the only time" });
    password = (await alert.getByText(/^phs_/).textContent()) ?? "";
    expect(password).toMatch(/^phs_[0-9A-Za-z]{44}$/);
    await alert.getByText(OPERATOR.email, { exact: true }).waitFor();
    await settled(page);
    await picture(page, "credential-once");
    await page.getByRole("button", { name: "I have stored it" }).click();
    expect(await page.content()).not.toContain(password);
    await page.getByRole("cell", { name: "192.0.2.0/28, 500 recipients an hour" }).waitFor();
  });

  it("is changed without touching what was left alone", async () => {
    const { page } = on.view;
    const change = page.getByRole("button", { name: "Change: Web shop" });
    await change.click();
    const dialog = page.getByRole("dialog", { name: "Change Web shop" });
    await dialog.waitFor();
    expect(await dialog.getByRole("textbox", { name: "Recipients an hour" }).inputValue()).toBe("500");
    await settled(page);
    await accessible(page, "the dialog that changes a credential");
    await picture(page, "credential-change");
    await dialog.getByRole("textbox", { name: "Only from these addresses" }).fill("nowhere");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByText(/is neither an IP address nor a range/).waitFor();
    await dialog.getByRole("textbox", { name: "Only from these addresses" }).fill("");
    await dialog.getByRole("textbox", { name: "Name" }).fill("Shop");
    await dialog.getByRole("button", { name: "Save" }).click();
    await said("Shop was changed").waitFor();
    await page.getByRole("cell", { name: "500 recipients an hour", exact: true }).waitFor();
    // The form begins with what there is now.
    await page.getByRole("button", { name: "Change: Shop" }).click();
    const again = page.getByRole("dialog", { name: "Change Shop" });
    expect(await again.getByRole("textbox", { name: "Only from these addresses" }).inputValue()).toBe("");
    await again.getByRole("textbox", { name: "Name" }).fill("Web shop");
    await again.getByRole("button", { name: "Save" }).click();
    await change.waitFor();
  });

  it("may be all that signs in over SMTP", async () => {
    const { page } = on.view;
    const allowed = page.getByRole("switch", { name: OPERATOR.email });
    await expect.poll(() => allowed.isChecked()).toBe(true);
    await allowed.click();
    await page.getByText("Named credentials go on.").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Forbid the password on SMTP" }).click();
    await said("with named credentials only").waitFor();
    await page.getByText("Only named credentials sign in over SMTP.").waitFor();
    await expect.poll(() => allowed.isChecked()).toBe(false);
    await allowed.click();
    await page.getByText("The password signs in over SMTP, and so do named credentials.").waitFor();
  });

  it("looks right in every width", async () => {
    const sandbox = { name: "Tests", sandbox: true, expires_at: "2099-12-31T23:59:59Z" };
    const made = await on.view.context.request.post("/api/v1/smtp-credentials", {
      data: sandbox,
      headers: { Origin: on.server.url },
    });
    expect(made.status()).toBe(201);
    await everywhere(on.browser, on.server.url, on.view.context, {
      "smtp-credentials": "/app/smtp-credentials",
      "smtp-settings": "/app/smtp",
    });
  }, 1_200_000);

  it("is revoked after a question", async () => {
    const { page } = on.view;
    await page.goto("/app/smtp-credentials");
    await page.getByRole("button", { name: "Revoke: Web shop" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await said("Web shop was revoked").waitFor();
    await page.getByRole("button", { name: "Revoke: Web shop" }).waitFor({ state: "detached" });
  });

  it("is named in full where it was tried once more", async () => {
    const asked = `--server 127.0.0.1 --port ${on.server.smtpPort} --tls --auth PLAIN --auth-user ${OPERATOR.email} --to zoe@example.org`;
    const tried = spawnSync("swaks", [...asked.split(" "), "--auth-password", password], {
      encoding: "utf8",
    });
    expect(tried.stdout).toContain("535 5.7.8");
    for (const width of [360, 768, 1440]) {
      const narrow = await open(on.browser, on.server.url, {
        viewport: { width, height: 900 },
        storageState: await on.view.context.storageState(),
      });
      await narrow.page.goto("/app/account/attempts");
      const name = narrow.page.getByRole("cell").getByText("Web shop", { exact: true });
      await name.waitFor();
      await settled(narrow.page);
      await picture(narrow.page, `attempt-with-credential-${width}`);
      const beyond = await name.evaluate((one) => {
        const cell = one.closest("td");
        return cell ? one.getBoundingClientRect().right - cell.getBoundingClientRect().right : 1;
      });
      expect(beyond, `${width} px`).toBeLessThanOrEqual(0);
      await narrow.context.close();
    }
  });
});
