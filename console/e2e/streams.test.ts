/** Streams, tags and scheduled mail: sorted, found again, moved, sent before its time, cancelled. */
import { describe, expect, it } from "vitest";
import { OPERATOR, picture, settled } from "./browser";
import { everywhere } from "./looks";
import { stage } from "./stage";

const on = stage("streams");

const HOUR_MS = 3_600_000;

async function send(more: object): Promise<string> {
  const answer = await on.view.context.request.post("/api/v1/messages", {
    data: { from: OPERATOR.email, to: ["bob@example.org"], subject: "Hello", text: "Hello", ...more },
    headers: { Origin: on.server.url },
  });
  expect(answer.status(), await answer.text()).toBe(202);
  return ((await answer.json()) as { id: string }).id;
}

const said = (text: string | RegExp) =>
  on.view.page.locator(".mantine-Notification-root").filter({ hasText: text }).first();

describe("streams", () => {
  it("are there from the beginning, and one is made, renamed and archived", async () => {
    const { page } = on.view;
    await page.goto("/app/streams");
    await page.getByRole("link", { name: "Transactional" }).waitFor();
    await page.getByRole("link", { name: "Marketing" }).waitFor();
    await page.getByRole("button", { name: "Create a stream" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Name", exact: true }).fill("Receipts");
    await dialog.getByRole("textbox", { name: "Short name" }).fill("receipts of all");
    await settled(page);
    await picture(page, "stream-dialog");
    await dialog.getByRole("button", { name: "Create a stream" }).click();
    await dialog.getByText(/letters, digits and inner hyphens/).waitFor();
    await dialog.getByRole("textbox", { name: "Short name" }).fill("receipts");
    await dialog.getByRole("button", { name: "Create a stream" }).click();
    await said("Receipts was created").waitFor();
    await page.getByRole("button", { name: "Change: Receipts" }).click();
    await dialog.getByRole("textbox", { name: "Name" }).fill("All receipts");
    await dialog.getByRole("switch", { name: "Unsubscribe link" }).click({ force: true });
    await settled(page);
    await picture(page, "stream-change-dialog");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page
      .getByRole("row")
      .filter({ hasText: "All receipts" })
      .getByRole("cell", { name: "Unsubscribe link" })
      .waitFor();
    await page.getByRole("link", { name: "All receipts" }).waitFor();
    await page.getByRole("button", { name: "Archive: All receipts" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Archive" }).click();
    await page.getByRole("button", { name: "Restore: All receipts" }).click();
    await page.getByRole("button", { name: "Archive: All receipts" }).waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Archive: Marketing" }).count()).toBe(0);
  });

  it("and tags find messages again", async () => {
    const { page } = on.view;
    await send({ stream: "receipts", tags: ["Order", "paid"], subject: "Your receipt" });
    await send({ subject: "Something else" });
    await page.goto("/app/streams");
    await page.getByRole("link", { name: "All receipts" }).click();
    await page.getByRole("cell", { name: "Your receipt" }).waitFor();
    await expect.poll(() => page.getByRole("cell", { name: "Something else" }).count()).toBe(0);
    await page.getByRole("button", { name: "Clear filters" }).click();
    await page.getByRole("cell", { name: "Something else" }).waitFor();
    await page.getByRole("textbox", { name: "Tag" }).fill("ORDER");
    await page.getByRole("cell", { name: "Something else" }).waitFor({ state: "hidden" });
    await settled(page);
    await picture(page, "messages-by-tag");
    await page.getByRole("row").filter({ hasText: "Your receipt" }).getByRole("link").click();
    await page.getByRole("link", { name: "receipts", exact: true }).waitFor();
    await page.getByRole("link", { name: "order", exact: true }).waitFor();
  });

  it("bind a credential and a key", async () => {
    const { page } = on.view;
    await page.goto("/app/smtp-credentials");
    await page.getByRole("button", { name: "Create a credential" }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Name" }).fill("Web shop");
    await dialog.getByRole("combobox", { name: "Stream" }).click();
    await page.getByRole("option", { name: "All receipts" }).click();
    await dialog.getByRole("button", { name: "Create a credential" }).click();
    await page.getByRole("cell", { name: "stream receipts" }).waitFor();
    await page.goto("/app/keys");
    await page.getByRole("button", { name: "Create a key" }).first().click();
    await dialog.getByRole("textbox", { name: "Name" }).fill("Web shop");
    await dialog.getByRole("combobox", { name: "Stream" }).click();
    await page.getByRole("option", { name: "All receipts" }).click();
    await settled(page);
    await picture(page, "key-dialog-with-stream");
    await dialog.getByRole("button", { name: "Create a key" }).click();
    await page.getByRole("cell", { name: "receipts", exact: true }).waitFor();
  });
});

describe("scheduled mail", () => {
  const at = (hours: number) => new Date(Date.now() + hours * HOUR_MS).toISOString();

  it("says when it leaves, is moved and sent now", async () => {
    const { page } = on.view;
    const id = await send({ send_at: at(5), subject: "Later" });
    await page.goto(`/app/messages/${id}`);
    await page.getByText("It leaves at the time that its sender chose:").waitFor();
    await settled(page);
    await picture(page, "message-scheduled");
    await page.getByRole("button", { name: "Change the time" }).click();
    await settled(page);
    await picture(page, "message-move-dialog");
    await page.getByRole("dialog").getByRole("button", { name: "Let it leave then" }).click();
    await said(/It leaves /).waitFor();
    await page.getByRole("button", { name: "Send now" }).click();
    await page
      .getByText(/^Delivered/)
      .first()
      .waitFor();
  });

  it("is cancelled", async () => {
    const { page } = on.view;
    const id = await send({ send_at: at(5) });
    await page.goto(`/app/messages/${id}`);
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByRole("button", { name: "Cancel for 1 recipient" }).click();
    await page
      .getByText(/^Cancelled/)
      .first()
      .waitFor();
  });

  it("looks right in every width", async () => {
    const id = await send({
      send_at: at(5),
      stream: "receipts",
      tags: ["order", "a tag that is as long as a tag can be and then some more of it"],
    });
    await everywhere(on.browser, on.server.url, on.view.context, {
      streams: "/app/streams",
      "messages-of-a-stream": "/app/messages?stream=receipts&tag=order",
      "message-scheduled": `/app/messages/${id}`,
    });
  }, 600_000);
});
