import { describe, expect, it } from "vitest";
import type { Attempt } from "../../api/types";
import { timeline } from "./timeline";

const accepted = "2026-11-23T12:00:00Z";
const attempt = (number: number, at: string, outcome: string) => ({ number, at, outcome }) as Attempt;

describe("the time line of a recipient", () => {
  it("is not drawn for a single try that settled it", () => {
    expect(timeline(accepted, { attempts: [attempt(1, accepted, "delivered")], next_at: null })).toBeNull();
    expect(timeline(accepted, { attempts: [], next_at: "2026-11-23T12:01:00Z" })).toBeNull();
  });
  it("places each try between acceptance and the next try", () => {
    const line = timeline(accepted, {
      attempts: [
        attempt(1, "2026-11-23T12:00:00Z", "deferred"),
        attempt(2, "2026-11-23T12:05:00Z", "deferred"),
      ],
      next_at: "2026-11-23T12:20:00Z",
    });
    expect(line?.marks.map((mark) => [mark.kind, mark.at])).toEqual([
      ["attempt", 0],
      ["attempt", 0.25],
      ["next", 1],
    ]);
  });
  it("stays on the line when clocks disagree", () => {
    const line = timeline(accepted, {
      attempts: [
        attempt(1, "2026-11-23T11:59:59Z", "deferred"),
        attempt(2, "2026-11-23T12:00:10Z", "delivered"),
      ],
      next_at: null,
    });
    expect(line?.marks.map((mark) => mark.at)).toEqual([0, 1]);
  });
});
