import { describe, expect, it } from "vitest";
import type { Domain, Lane, Me, SmtpSettings } from "../../api/types";
import { type Known, needs } from "./needs";

const now = Date.UTC(2026, 10, 23, 12);
const me = (change: Partial<Me["account"]> = {}): Me => ({
  login: { id: "1", email: "ada@example.com", role: "owner", scopes: ["read"] },
  account: {
    id: "2",
    name: "Ada",
    operator: true,
    sandbox: false,
    state: "active",
    state_reason: null,
    credits: null,
    credit_mark: 500,
    ...change,
  },
  impersonation: null,
  server: { name: "Posthouse", version: "1", hostname: "mail.example.com", route: "mx", storage: "fine" },
});
const lane = (change: Partial<Lane>): Lane => ({
  lane: "example.org",
  domains: ["example.org"],
  waiting: 3,
  connections: 0,
  oldest_at: null,
  rate_per_minute: 0,
  last_reply: null,
  last_reply_at: null,
  paused: false,
  next_try_at: null,
  ...change,
});
const kinds = (known: Known) => needs(known, now).map((need) => need.kind);
const queue = (...lanes: Lane[]) => ({ lanes, waiting: 3, deferred: 0, in_flight: 0 });

describe("what needs you", () => {
  it("is nothing when all is right or not yet known", () => {
    expect(kinds({ me: me() })).toEqual([]);
    expect(kinds({ me: me({ credits: 500 }), domains: [{ state: "verified" } as Domain] })).toEqual([]);
  });
  it("is credits at a fifth of the last grant and below", () => {
    expect(kinds({ me: me({ credits: 101 }) })).toEqual([]);
    expect(kinds({ me: me({ credits: 100 }) })).toEqual(["credits"]);
  });
  it("is a suspended account and used-up credits, first", () => {
    expect(
      kinds({ me: me({ state: "suspended", credits: 0 }), domains: [{ state: "pending" } as Domain] }),
    ).toEqual(["suspended", "credits", "domain"]);
  });
  it("never shows credits below nothing", () => {
    expect(needs({ me: me({ credits: -2 }) }, now)).toEqual([{ kind: "credits", left: 0, mark: 500 }]);
  });
  it("is a lane that is paused or keeps mail waiting", () => {
    const old = new Date(now - 2 * 3_600_000).toISOString();
    const young = new Date(now - 60_000).toISOString();
    expect(
      kinds({
        me: me(),
        queue: queue(
          lane({ paused: true, oldest_at: old }),
          lane({ oldest_at: old }),
          lane({ oldest_at: young }),
          lane({ oldest_at: old, waiting: 0 }),
        ),
      }),
    ).toEqual(["paused", "lane"]);
    // One whose destination does not answer is told about at once.
    const trouble = { next_try_at: new Date(now + 60_000).toISOString(), last_reply: "no connection" };
    expect(kinds({ me: me(), queue: queue(lane({ oldest_at: young, ...trouble })) })).toEqual(["lane"]);
    expect(kinds({ me: me(), queue: queue(lane({ waiting: 0, ...trouble })) })).toEqual([]);
  });
  it("is a certificate that ends soon", () => {
    const settings = (days: number) =>
      ({ certificate: { not_after: new Date(now + days * 86_400_000).toISOString() } }) as SmtpSettings;
    expect(kinds({ me: me(), settings: settings(13) })).toEqual(["certificate"]);
    expect(kinds({ me: me(), settings: settings(15) })).toEqual([]);
  });
});
