import { describe, expect, it } from "vitest";
import { low } from "./low";

describe("credits are few", () => {
  const of = (credits: number | null) => low({ credits, credit_mark: 500 });
  it("at the steps at which the server mails", () => {
    expect([of(500), of(101)]).toEqual([null, null]);
    expect([of(100), of(26)]).toEqual(["fifth", "fifth"]);
    expect([of(25), of(1)]).toEqual(["twentieth", "twentieth"]);
    expect(of(0)).toBe("nothing");
  });
  it("never where there is no limit", () => expect(of(null)).toBeNull());
});
