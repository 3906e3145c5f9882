import { expect, it } from "vitest";
import { exampleData } from "./exampleData";

it("names each variable once, with the objects that it stands in", () => {
  const source = "{{name}} {{ order.number }} {{order.city}} {{- name }} {{unsubscribe_url}} {{}}";
  expect(JSON.parse(exampleData(source))).toEqual({
    name: "name",
    order: { number: "number", city: "city" },
  });
});
