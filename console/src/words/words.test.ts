import { describe, expect, it } from "vitest";
import { en } from "./en";

const sources = import.meta.glob<string>(["../**/*.{ts,tsx}", "!./*.ts", "!../api/schema.d.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});
const code = Object.values(sources).join("\n");

function flat(words: object, at = ""): [key: string, text: string][] {
  return Object.entries(words).flatMap(([name, value]) => {
    const key = at ? `${at}.${name}` : name;
    if (typeof value === "string") return [[key, value] as [string, string]];
    if (Array.isArray(value)) return value.map((text) => [key, String(text)] as [string, string]);
    return flat(value, key);
  });
}

const words = flat(en);

describe("the words", () => {
  it("are all used", () => {
    const unused = words
      .map(([key]) => key.replace(/_(one|other)$/, ""))
      .filter((key) => {
        const group = key.slice(0, key.lastIndexOf("."));
        return !code.includes(`"${key}"`) && !code.includes(`\`${group}.\${`);
      });
    expect(unused).toEqual([]);
  });
  it("have both numbers where they have one", () => {
    const keys = new Set(words.map(([key]) => key));
    for (const key of keys) {
      if (key.endsWith("_one")) expect(keys, key).toContain(key.replace(/_one$/, "_other"));
      if (key.endsWith("_other")) expect(keys, key).toContain(key.replace(/_other$/, "_one"));
    }
  });
  it("do not shout, and show no pictures", () => {
    for (const [key, text] of words) expect(text, key).not.toMatch(/!|\p{Extended_Pictographic}/u);
  });
});
