/** What a new hook begins with, what the editor completes, and how an outcome looks. */
import type { Tone } from "../../parts/State";

export const FIRST_SCRIPT = `-- Asked when the message is there. See the help for all that \`m\` knows.
function on_message(m)
  if m.subject == "" then
    reject("A message needs a subject.")
  end
end
`;

export const SAMPLE = `From: Alice <alice@example.com>
To: bob@example.net
Subject: Hello

Hello Bob
`;

/** Functions of ours, each with what it does in short. */
export const FUNCTIONS: [name: string, detail: string][] = [
  ["accept", "accept()"],
  ["reject", "reject(text?)"],
  ["defer", "defer(text?)"],
  ["discard", "discard()"],
  ["tag", "tag(name)"],
  ["set_header", "set_header(name, value)"],
  ["add_header", "add_header(name, value)"],
  ["add_footer", "add_footer(text, html?)"],
  ["route", "route(stream)"],
  ["print", "print(...)"],
  ["on_mail", "function on_mail(m)"],
  ["on_rcpt", "function on_rcpt(m)"],
  ["on_message", "function on_message(m)"],
];

/** What stands behind `m.` and `m:`. */
export const FIELDS = [
  "stage",
  "from",
  "recipients",
  "recipient",
  "account",
  "login",
  "credential",
  "via",
  "ip",
  "helo",
  "tls",
  "size",
  "stream",
  "tags",
  "subject",
];
export const METHODS = ["header", "headers", "raw_headers", "parts", "complete"];
/** What stands behind `part.`, one of those that `m:parts()` gives. */
export const PART = ["type", "charset", "name", "size", "text", "cut"];

export const OUTCOMES = [
  "passed",
  "accepted",
  "rejected",
  "deferred",
  "discarded",
  "error",
  "memory",
  "steps",
  "time",
  "busy",
] as const;

export type Outcome = (typeof OUTCOMES)[number];

export const outcomeOf = (text: string): Outcome => OUTCOMES.find((one) => one === text) ?? "error";

export const toneOf = (outcome: Outcome): Tone => {
  if (outcome === "passed" || outcome === "accepted") return "green";
  if (outcome === "rejected" || outcome === "discarded") return "violet";
  return outcome === "deferred" ? "amber" : "red";
};
