import { describe, expect, it } from "vitest";
import { count, rate, size } from "./number";
import { absolute, ago, day, span, took } from "./time";

const now = Date.UTC(2026, 10, 23, 12, 0, 0);

describe("numbers", () => {
  it("have thousands separators", () => expect(count(1234567)).toBe("1,234,567"));
  it("of octets choose the unit the limits use", () => {
    expect(size(0)).toBe("0 B");
    expect(size(1023)).toBe("1,023 B");
    expect(size(1536)).toBe("1.5 KiB");
    expect(size(26_214_400)).toBe("25 MiB");
  });
  it("of rates never round a trickle down to nothing", () => {
    expect(rate(0)).toBe("0");
    expect(rate(0.04)).toBe("< 0.1");
    expect(rate(12.34)).toBe("12.3");
  });
});

describe("times", () => {
  it("within ten seconds are now", () => expect(ago(now - 9_999, now)).toBeNull());
  it("are relative in the largest whole unit", () => {
    expect(ago(now - 59_000, now)).toBe("59 sec ago");
    expect(ago(now - 119_000, now)).toBe("1 min ago");
    expect(ago(now + 2 * 3_600_000, now)).toBe("in 2 hr");
    expect(ago(now - 49 * 3_600_000, now)).toBe("2 days ago");
  });
  it("are absolute with their zone", () => {
    expect(absolute(now, "UTC")).toBe("23 Nov 2026, 12:00:00 UTC");
    expect(day(now, "UTC")).toBe("23 Nov 2026");
  });
  it("count down in two units", () => {
    expect(span(-5)).toBe("0 s");
    expect(span(58_000)).toBe("58 s");
    expect(span(61_000)).toBe("1 min 1 s");
    expect(span(3_600_000)).toBe("1 h");
    expect(span(5 * 86_400_000 - 1_000)).toBe("4 d 23 h");
  });
  it("that were measured keep their precision", () => {
    expect(took(84.4)).toBe("84 ms");
    expect(took(1234)).toBe("1.2 s");
  });
});
