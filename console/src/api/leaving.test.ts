import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { BASE } from "../app/base";

const over = () => new Response(JSON.stringify({ type: "/problems/impersonation-over" }), { status: 401 });
const asked: string[] = [];

/** A server where what was seen as another account is over until it is left. */
function server(leave: () => Promise<Response>) {
  asked.length = 0;
  vi.stubGlobal("fetch", async (request: Request | string) => {
    const path = new URL(typeof request === "string" ? request : request.url, "http://localhost").pathname;
    asked.push(path);
    return path.endsWith("/impersonation") ? leave() : over();
  });
}

let { beOneself, client, ok } = await import("./client");

const domains = () => ok(client.GET("/domains", { baseUrl: "http://localhost/api/v1" }));

// What has left has left for good, as long as its document is there.
beforeEach(async () => {
  vi.resetModules();
  ({ beOneself, client, ok } = await import("./client"));
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

it("a server that cannot let go of another's account says why, and is asked anew", async () => {
  const broken = { title: "The database takes no writes", status: 503 };
  server(() => Promise.resolve(new Response(JSON.stringify(broken), { status: 503 })));
  await expect(domains()).rejects.toThrow(broken.title);
  server(() => Promise.reject(new TypeError("away")));
  await expect(domains()).rejects.toThrow("away");
  await expect(domains()).rejects.toThrow("away");
  expect(asked.filter((path) => path.endsWith("/impersonation"))).toHaveLength(2);
});

it("nothing that a page of another's account asks is sent in one's own name once it is left", async () => {
  const assign = vi.spyOn(window.location, "assign").mockImplementation(() => {});
  server(() => Promise.resolve(new Response(null, { status: 204 })));
  void domains();
  void domains();
  await vi.waitFor(() => expect(assign).toHaveBeenCalledTimes(1));
  expect(asked.filter((path) => path.endsWith("/impersonation"))).toHaveLength(1);
  asked.length = 0;
  void domains();
  // A turn of the event loop: by then it would have been sent.
  await new Promise((resolve) => setTimeout(resolve));
  expect(asked).toEqual([]);
});

it("whoever leaves comes to the place they meant, whatever else hears that it is over", async () => {
  const assign = vi.spyOn(window.location, "assign").mockImplementation(() => {});
  let left = (_: Response) => {};
  server(() => new Promise((answer) => (left = answer)));
  void domains();
  void beOneself("/accounts/5");
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  left(new Response(null, { status: 204 }));
  await vi.waitFor(() => expect(assign).toHaveBeenCalledTimes(1));
  expect(assign.mock.calls).toEqual([[`${BASE}/accounts/5`]]);
});
