import { describe, expect, it } from "vitest";
import { NEW_RULE, RULES, ruleForm, ruleText } from "./rule";

describe("a rule", () => {
  it("is read back as it was written, whichever it is", () => {
    for (const rule of RULES) {
      const body = ruleText({
        ...NEW_RULE,
        rule,
        patterns: "@a.example\nb@c.example",
        tags: "one, two",
        header: "X-Team",
        tag: "order",
        stream: "news",
        text: rule === "route" || rule === "add_footer" ? "" : "No.",
        footer: rule === "add_footer" ? "Us Ltd.\n\nBerlin " : "",
        html: rule === "add_footer" ? "<p>Us</p>" : "",
      });
      expect(ruleText(ruleForm(body))).toBe(body);
    }
  });

  it("says only what was filled in", () => {
    const body = ruleText({ ...NEW_RULE, patterns: " @a.example ,\n\n b@c.example;" });
    expect(JSON.parse(body)).toEqual({ rule: "block_recipients", patterns: ["@a.example", "b@c.example"] });
    expect(ruleForm("no JSON")).toEqual(NEW_RULE);
  });
});
