import { describe, expect, it } from "vitest";
import { addresses } from "./addresses";

describe("addresses in one field", () => {
  it("are parted by commas, semicolons and line ends", () => {
    expect(addresses(" a@x.org, b@x.org;c@x.org\n d@x.org ,")).toEqual([
      "a@x.org",
      "b@x.org",
      "c@x.org",
      "d@x.org",
    ]);
  });
  it("keep a comma that is quoted", () => {
    expect(addresses('"Lovelace, Ada" <ada@x.org>, b@x.org')).toEqual([
      '"Lovelace, Ada" <ada@x.org>',
      "b@x.org",
    ]);
  });
  it("are none in an empty field", () => expect(addresses(" , ")).toEqual([]));
});
