import { describe, expect, it } from "vitest";
import { asItCame } from "./reply";

describe("a reply as it came", () => {
  it("has its codes in front, each once", () => {
    expect(asItCame(250, "2.0.0", "Ok: queued")).toBe("250 2.0.0 Ok: queued");
    expect(asItCame(250, "2.0.0", "2.0.0 Ok: queued")).toBe("250 2.0.0 Ok: queued");
    expect(asItCame(250, "2.0.0", "250 2.0.0 Ok: queued")).toBe("250 2.0.0 Ok: queued");
    expect(asItCame(421, null, "")).toBe("421");
  });
  it("is only words when no reply was read", () => {
    expect(asItCame(null, null, "Connection refused")).toBe("Connection refused");
    expect(asItCame(null, null, null)).toBe("");
  });
});
