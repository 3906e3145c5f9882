import { describe, expect, it } from "vitest";
import { nice } from "./stack";

describe("a scale", () => {
  it("ends at a round number whose half is whole", () => {
    expect([0, 1, 3, 7, 11, 199, 201, 950].map(nice)).toEqual([0, 2, 4, 8, 20, 200, 400, 1000]);
  });
});
