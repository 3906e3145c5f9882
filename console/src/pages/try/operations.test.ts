import { describe, expect, it } from "vitest";
import { type Described, example, operations, url } from "./operations";

const described: Described = {
  paths: {
    "/things/{id}": {
      post: {
        operationId: "changeThing",
        summary: "Change a thing",
        parameters: [
          { name: "id", in: "path", required: true },
          { name: "q", in: "query" },
        ],
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Thing" } } } },
      },
    },
  },
  components: {
    schemas: {
      Thing: {
        type: "object",
        required: ["name", "parts"],
        properties: {
          name: { type: "string" },
          note: { type: "string" },
          kind: { type: "string", example: "a" },
          parts: { type: "array", items: { $ref: "#/components/schemas/Thing" } },
        },
      },
    },
  },
};

describe("an operation", () => {
  const [change] = operations(described);

  it("has a path with what was typed in it", () => {
    expect(change && url(change, { id: "a/b", q: "" })).toBe("/things/a%2Fb");
    expect(change && url(change, { id: "1", q: "x y" })).toBe("/things/1?q=x+y");
  });

  it("has an example that ends, however its shape goes on", () => {
    const body = change?.body && (example(described, change.body) as Record<string, unknown>);
    expect(body).toMatchObject({ name: "text", kind: "a" });
    expect(body).not.toHaveProperty("note");
  });
});
