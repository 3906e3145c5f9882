import { afterEach, expect, it, vi } from "vitest";
import { client, ok } from "./client";
import { askBy } from "./fresh";

const json = (status: number, body: object) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/problem+json" } });
const refusal = () => json(403, { type: "/problems/confirm-password", detail: "Enter your password again." });
const bodies: unknown[] = [];

/** A server that answers the requests one after the other. */
function server(...answers: Response[]) {
  bodies.length = 0;
  vi.stubGlobal("fetch", async (request: Request) => {
    bodies.push(await request.json());
    const answer = answers.shift();
    if (!answer) throw new Error("one request too many");
    return answer;
  });
}

// Under a page, paths are enough; here a request wants the whole address.
const createKey = (name: string) =>
  ok(client.POST("/keys", { baseUrl: "http://localhost/api/v1", body: { name, scopes: ["send"] } }));

afterEach(() => vi.unstubAllGlobals());

it("a request that wants the password is sent once more when it was entered", async () => {
  server(refusal(), json(201, { id: "1" }));
  askBy(() => Promise.resolve(true));
  expect(await createKey("shop")).toEqual({ id: "1" });
  expect(bodies).toEqual([
    { name: "shop", scopes: ["send"] },
    { name: "shop", scopes: ["send"] },
  ]);
});

it("the refusal stands where the password was not entered", async () => {
  server(refusal());
  askBy(() => Promise.resolve(false));
  await expect(createKey("shop")).rejects.toThrow("Enter your password again.");
});

it("any other refusal asks for nothing", async () => {
  const ask = vi.fn(() => Promise.resolve(true));
  server(json(403, { type: "/problems/forbidden", detail: "No." }));
  askBy(ask);
  await expect(createKey("shop")).rejects.toThrow("No.");
  expect(ask).not.toHaveBeenCalled();
});

it("requests at once share one question", async () => {
  const ask = vi.fn(() => Promise.resolve(true));
  server(refusal(), refusal(), json(201, { id: "1" }), json(201, { id: "2" }));
  askBy(ask);
  const made = await Promise.all([createKey("a"), createKey("b")]);
  expect(made).toHaveLength(2);
  expect(ask).toHaveBeenCalledTimes(1);
});
