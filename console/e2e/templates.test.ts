/** Templates: made, tried with data, refused with the line of a mistake, sent by name, deleted. */
import { describe, expect, it } from "vitest";
import { OPERATOR, picture, settled } from "./browser";
import { everywhere } from "./looks";
import { stage } from "./stage";

const on = stage("templates");

const said = (text: string | RegExp) =>
  on.view.page.locator(".mantine-Notification-root").filter({ hasText: text }).first();

describe("templates", () => {
  it("are made, tried with data and saved", async () => {
    const { page } = on.view;
    await page.goto("/app/templates");
    await page.getByText("No template yet").waitFor();
    await page.getByRole("button", { name: "Create a template" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Name" }).fill("order shipped");
    await dialog.getByRole("textbox", { name: "Subject" }).fill("Order {{order.number}}");
    await dialog.getByRole("button", { name: "Create a template" }).click();
    await dialog
      .getByText(/letters, digits, dots/)
      .last()
      .waitFor();
    await dialog.getByRole("textbox", { name: "Name" }).fill("order-shipped");
    await dialog.getByRole("button", { name: "Create a template" }).click();
    await page.getByRole("heading", { name: "order-shipped" }).waitFor();
    await page.getByRole("textbox", { name: "HTML" }).fill("<h1>Hello {{name}}</h1><p>{{colour}}</p>");
    await page.getByRole("button", { name: "Preview" }).click();
    await page.getByText("`colour` is not in `data` (line 1).").first().waitFor();
    await page
      .getByRole("textbox", { name: "Data to try it with" })
      .fill('{"name": "Zoe & Co", "colour": "blue", "order": {"number": 4711}}');
    await page.getByRole("button", { name: "Preview" }).click();
    await page.getByText("Order 4711").waitFor();
    const frame = page.frameLocator("iframe");
    await frame.getByRole("heading", { name: "Hello Zoe & Co" }).waitFor();
    await settled(page);
    await picture(page, "template");
    await page.getByRole("button", { name: "Save" }).click();
    await said("order-shipped was saved").waitFor();
  });

  it("are sent by their name, and the page of the message tells what was said", async () => {
    const { page } = on.view;
    const answer = await on.view.context.request.post("/api/v1/messages", {
      data: {
        from: OPERATOR.email,
        to: ["bob@example.org"],
        template: "order-shipped",
        data: { name: "Bob", colour: "red", order: { number: 1 } },
      },
      headers: { Origin: on.server.url },
    });
    expect(answer.status(), await answer.text()).toBe(202);
    const { id } = (await answer.json()) as { id: string };
    await page.goto(`/app/messages/${id}`);
    await page.getByRole("heading", { name: "Order 1" }).waitFor();
  });

  it("look right in every width", async () => {
    await everywhere(on.browser, on.server.url, on.view.context, {
      templates: "/app/templates",
      template: "/app/templates/order-shipped",
    });
  }, 600_000);

  it("are deleted", async () => {
    const { page } = on.view;
    await page.goto("/app/templates/order-shipped");
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await said("order-shipped was deleted").waitFor();
    await page.getByText("No template yet").waitFor();
  });
});
