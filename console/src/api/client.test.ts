import { describe, expect, it } from "vitest";
import { ApiError } from "./client";

describe("an error of the API", () => {
  it("leads to the help article that the server names, and nowhere else", () => {
    expect(new ApiError(402, { help: "/help/credits" }).help).toBe("/help/credits");
    for (const help of ["https://evil.example/help/x", "//evil.example", "javascript:alert(1)", "/app/x", ""])
      expect(new ApiError(402, { help }).help).toBeUndefined();
    expect(new ApiError(0, {}).help).toBeUndefined();
  });
});
