import { describe, expect, it } from "vitest";
import { asFilter, isFiltered, readSearch } from "./filter";
import { fresh, refreshed } from "./merge";

const rows = (...ids: string[]) => ids.map((id) => ({ id, state: "old" }));

describe("the list of messages", () => {
  it("keeps its place and takes the latest form of each row", () => {
    const latest = [
      { id: "c", state: "new" },
      { id: "b", state: "new" },
    ];
    expect(refreshed(rows("b", "a"), latest)).toEqual([
      { id: "b", state: "new" },
      { id: "a", state: "old" },
    ]);
  });
  it("counts only what came before the first row being read", () => {
    expect(fresh(rows("b", "a"), rows("d", "c", "b", "a"))).toEqual({ n: 2, more: false });
    expect(fresh(rows("b", "a"), rows("b"))).toEqual({ n: 0, more: false });
  });
  it("says that there may be more when a whole page is new", () => {
    expect(fresh(rows("b", "a"), rows("f", "e"))).toEqual({ n: 2, more: true });
    expect(fresh(rows("a"), [])).toEqual({ n: 0, more: false });
  });
});

describe("the filters in the address", () => {
  it("are read back as they were written", () => {
    const search = {
      q: "ada",
      state: "bounced" as const,
      since: "2026-11-01",
      until: "2026-11-23",
      all: true as const,
    };
    expect(readSearch(search)).toEqual(search);
  });
  it("drop what is not understood", () => {
    expect(
      readSearch({ q: "  ", state: "nope", since: "yesterday", until: "2026-13-99", sort: "newest", x: 1 }),
    ).toEqual({});
  });
  it("cover whole days of the reader's zone", () => {
    const filter = asFilter({ since: "2026-11-23", until: "2026-11-23" }, 50);
    expect(Date.parse(filter.until ?? "") - Date.parse(filter.since ?? "")).toBe(86_400_000);
    expect(new Date(filter.since ?? "").getHours()).toBe(0);
  });
  it("know when there are none", () => {
    expect(isFiltered({ sort: "oldest", after: "x" })).toBe(false);
    expect(isFiltered({ q: "x" })).toBe(true);
  });
});
