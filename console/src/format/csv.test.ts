import { describe, expect, it } from "vitest";
import { csv } from "./csv";

describe("CSV", () => {
  it("quotes what needs quoting and ends each line with CR LF", () => {
    expect(
      csv([
        ["a", 'say "hi"'],
        ["x,y", "line\nbreak"],
      ]),
    ).toBe('a,"say ""hi"""\r\n"x,y","line\nbreak"\r\n');
  });
  it("does not let a subject become a formula", () => {
    expect(csv([["=1+1", "@cmd", "-5", "-rf"]])).toBe("'=1+1,'@cmd,-5,'-rf\r\n");
  });
});
