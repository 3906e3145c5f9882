import { expect, it } from "vitest";
import { range } from "./range";

it("ends today and counts today", () => {
  const now = Date.parse("2026-03-01T23:30:00Z");
  expect(range("7", now)).toEqual({ from: "2026-02-23" });
});
