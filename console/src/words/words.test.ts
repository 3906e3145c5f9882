import { describe, expect, it, vi } from "vitest";
import { en } from "./en";
import { fr } from "./fr";

const sources = import.meta.glob<string>(["../**/*.{ts,tsx}", "!./**/*.ts", "!../api/schema.d.ts"], {
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
  it("say the same in every language: each place that is filled in stands in both", () => {
    const places = (text: string) => [...text.matchAll(/\{\{\w+\}\}/g)].map(String).sort();
    const french = new Map(flat(fr));
    for (const [key, text] of new Map(words))
      expect(places(french.get(key) ?? ""), key).toEqual(places(text));
  });
});

describe("French", () => {
  it("keeps its signs on the line of their word, and has its own apostrophe", () => {
    for (const [key, text] of flat(fr)) {
      expect(text, key).not.toMatch(/ [:;?»%]|« |[a-zéè]'[a-zéèêàh]/i);
    }
  });
});

describe("the language", () => {
  async function asked(languages: string[]) {
    vi.resetModules();
    vi.stubGlobal("navigator", { languages });
    try {
      return {
        ...(await import("./language")),
        number: await import("../format/number"),
        time: await import("../format/time"),
      };
    } finally {
      vi.unstubAllGlobals();
    }
  }
  it("is the first of the browser's that there is", async () => {
    expect((await asked(["de-CH", "fr-CH", "en"])).language).toBe("fr");
    expect((await asked(["de"])).language).toBe("en");
  });
  it("is what was chosen here, whatever the browser asks for", async () => {
    localStorage.setItem("posthouse-language", "fr");
    expect((await asked(["en"])).language).toBe("fr");
    localStorage.setItem("posthouse-language", "tlh");
    expect((await asked(["en"])).language).toBe("en");
    localStorage.removeItem("posthouse-language");
  });
  it("decides how numbers and times are written", async () => {
    const { number, time } = await asked(["fr"]);
    expect(number.size(1536)).toBe("1,5 Kio");
    expect(number.count(12_345)).toBe("12\u202f345");
    expect(time.span(5 * 86_400_000 - 1_000)).toBe("4 j 23 h");
    expect(time.day(Date.UTC(2026, 10, 23), "UTC")).toBe("23 nov. 2026");
  });
  it("counts whole millions like any other number", async () => {
    vi.stubGlobal("navigator", { languages: ["fr"] });
    vi.resetModules();
    const { i18next, ready } = await import(".");
    await ready;
    vi.unstubAllGlobals();
    expect(i18next.t("frame.credits", { count: 1_000_000, n: "1 000 000" })).toBe(
      "1 000 000 crédits restants",
    );
  });
});
