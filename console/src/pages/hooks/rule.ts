/** A ready rule as the form holds it, and as the server keeps it. */
export const RULES = [
  "block_recipients",
  "require_tag",
  "require_header",
  "max_size",
  "max_recipients",
  "route",
  "add_footer",
] as const;

export type RuleName = (typeof RULES)[number];

export interface RuleForm {
  rule: RuleName;
  patterns: string;
  tags: string;
  header: string;
  octets: number;
  recipients: number;
  tag: string;
  subject: string;
  stream: string;
  text: string;
  footer: string;
  html: string;
}

export const NEW_RULE: RuleForm = {
  rule: "block_recipients",
  patterns: "",
  tags: "",
  header: "",
  octets: 10 * 1024 * 1024,
  recipients: 100,
  tag: "",
  subject: "",
  stream: "",
  text: "",
  footer: "",
  html: "",
};

const list = (text: string, between: RegExp) =>
  text
    .split(between)
    .map((one) => one.trim())
    .filter((one) => one !== "");

/** The JSON of the rule that the form describes. */
export function ruleText(form: RuleForm): string {
  const text = form.text.trim() === "" ? {} : { text: form.text.trim() };
  const rule = (() => {
    switch (form.rule) {
      case "block_recipients":
        return { patterns: list(form.patterns, /[\n,;]/), ...text };
      case "require_tag":
        return { tags: list(form.tags, /,/), ...text };
      case "require_header":
        return { header: form.header.trim(), ...text };
      case "max_size":
        return { octets: form.octets, ...text };
      case "max_recipients":
        return { recipients: form.recipients, ...text };
      case "route":
        return {
          ...(form.tag.trim() !== "" && { tag: form.tag.trim() }),
          ...(form.subject.trim() !== "" && { subject: form.subject.trim() }),
          stream: form.stream,
        };
      case "add_footer":
        return { text: form.footer, ...(form.html.trim() !== "" && { html: form.html }) };
    }
  })();
  return JSON.stringify({ rule: form.rule, ...rule }, null, 2);
}

/** The form for a rule that is kept. */
export function ruleForm(body: string): RuleForm {
  let kept: Record<string, unknown> = {};
  try {
    kept = JSON.parse(body) as Record<string, unknown>;
  } catch {
    return NEW_RULE;
  }
  const text = (name: string) => (typeof kept[name] === "string" ? (kept[name] as string) : "");
  const number = (name: string, or: number) => (typeof kept[name] === "number" ? (kept[name] as number) : or);
  const lines = (name: string, between: string) =>
    Array.isArray(kept[name]) ? (kept[name] as string[]).join(between) : "";
  return {
    rule: RULES.find((one) => one === kept.rule) ?? NEW_RULE.rule,
    patterns: lines("patterns", "\n"),
    tags: lines("tags", ", "),
    header: text("header"),
    octets: number("octets", NEW_RULE.octets),
    recipients: number("recipients", NEW_RULE.recipients),
    tag: text("tag"),
    subject: text("subject"),
    stream: text("stream"),
    text: kept.rule === "add_footer" ? "" : text("text"),
    footer: kept.rule === "add_footer" ? text("text") : "",
    html: text("html"),
  };
}
