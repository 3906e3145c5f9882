/** The suppressions as the people of an account keep them: by hand, from a file, and taken back with a reason. */
import { describe, expect, it } from "vitest";
import { OPERATOR, picture, settled } from "./browser";
import { everywhere } from "./looks";
import { stage } from "./stage";

const on = stage("suppressions");

const row = (text: string) => on.view.page.getByRole("row").filter({ hasText: text });

describe("the suppressions of an account", () => {
  it("take an address by hand, and mail to it says so", async () => {
    const { page } = on.view;
    await page.goto("/app/suppressions");
    await page.getByText("Nobody is suppressed").waitFor();
    await page.getByRole("button", { name: "Add an address" }).click();
    const form = page.getByRole("dialog");
    await form.getByLabel("Address").fill("gone@example.net");
    await form.getByLabel("Note").fill("asked on the phone");
    await picture(page, "suppressions-add");
    await form.getByRole("button", { name: "Add an address" }).click();
    await row("gone@example.net").getByText("Added by hand").waitFor();
    const answer = await on.view.context.request.post("/api/v1/messages", {
      data: { from: OPERATOR.email, to: ["gone@example.net"], subject: "Hello", text: "Hello" },
      headers: { Origin: on.server.url },
    });
    const { id } = (await answer.json()) as { id: string };
    await page.goto(`/app/messages/${id}`);
    await page
      .getByText(/suppress/i)
      .first()
      .waitFor();
    await settled(page);
    await picture(page, "message-suppressed");
  });

  it("take a file, and tell of each line that is no address", async () => {
    const { page } = on.view;
    await page.goto("/app/suppressions");
    await page.getByRole("button", { name: "Import" }).click();
    const form = page.getByRole("dialog");
    const lines = ["email,note", "first@example.org,left in May", "not an address", "second@example.org,"];
    const file = page.waitForEvent("filechooser");
    await form.getByLabel("List of addresses").click();
    await (await file).setFiles({
      name: "list.csv",
      mimeType: "text/csv",
      buffer: Buffer.from(lines.join("\r\n")),
    });
    await form.getByRole("button", { name: "Import" }).click();
    await form.getByText("2 added, 0 were there already.").waitFor();
    await form.getByText("not an address", { exact: true }).waitFor();
    await picture(page, "suppressions-imported");
    await form.getByRole("button", { name: "Done" }).click();
    await row("first@example.org").getByText("left in May").waitFor();
  });

  it("look right in every width and both colour schemes", async () => {
    await everywhere(on.browser, on.server.url, on.view.context, { suppressions: "/app/suppressions" });
  }, 300_000);

  it("are searched, and an address is let go with a reason", async () => {
    const { page } = on.view;
    await page.goto("/app/suppressions?q=first");
    await row("first@example.org").getByRole("button", { name: "Remove" }).click();
    const form = page.getByRole("dialog");
    await form.getByRole("button", { name: "Remove" }).click();
    await form.getByText("Say why.").waitFor();
    await form.getByLabel("Why it may get mail again").fill("came back");
    await picture(page, "suppressions-remove");
    await form.getByRole("button", { name: "Remove" }).click();
    await page.getByText("first@example.org gets mail again").waitFor();
    await page.goto("/app/account/audit");
    await row("first@example.org").getByText("every stream; was import; came back").waitFor();
    expect(on.view.faults).toEqual([]);
  });
});
