import { describe, expect, it } from "vitest";
import type { SmtpSettings } from "../../api/types";
import { PROGRAMS, snippet, values } from "./snippets";

const settings: SmtpSettings = {
  hostname: "mail.example.com",
  username: "o'brien@example.com",
  ports: [
    { port: 4650, security: "tls" },
    { port: 5870, security: "starttls" },
  ],
  mechanisms: ["PLAIN", "LOGIN"],
  max_message_size: 26_214_400,
  max_recipients: 1_000,
  certificate: null,
  senders: ["o'brien@example.com", "*@example.org"],
};

const made = (change: Partial<SmtpSettings> = {}) => {
  const v = values({ ...settings, ...change }, "SECRET");
  if (!v) throw new Error("there is a port");
  return v;
};

describe("the examples", () => {
  it("hold this installation's host, port and username, and no other", () => {
    for (const program of PROGRAMS) {
      const text = snippet(program, made());
      expect(text, program).toContain("mail.example.com");
      expect(text, program).toContain("5870");
      expect(text, program).toMatch(/o.*brien@example\.com/);
      expect(text, program).not.toContain("undefined");
    }
  });
  it("quote an apostrophe as their language wants it", () => {
    expect(snippet("swaks", made())).toContain("--auth-user 'o'\\''brien@example.com'");
    expect(snippet("php", made())).toContain("$mail->Username = 'o\\'brien@example.com'");
  });
  it("use TLS from the start where there is no STARTTLS", () => {
    const v = made({ ports: [{ port: 465, security: "tls" }] });
    expect(snippet("swaks", v)).toContain("--tls-on-connect");
    expect(snippet("python", v)).toContain("SMTP_SSL");
    expect(snippet("node", v)).toContain("secure: true");
    expect(snippet("php", v)).toContain("ENCRYPTION_SMTPS");
    expect(snippet("thunderbird", v)).toContain("SSL/TLS");
  });
  it("name the certificate only when it is self-signed", () => {
    const certificate = {
      self_signed: true,
      fingerprint_sha256: "aa",
      not_after: "2027-01-01T00:00:00Z",
      names: [],
    };
    for (const program of ["python", "node", "php"] as const) {
      expect(snippet(program, made())).not.toContain("posthouse.pem");
      expect(snippet(program, made({ certificate }))).toContain("posthouse.pem");
    }
    expect(snippet("node", made())).not.toContain("readFileSync");
  });
  it("are not shown when no port is open", () => expect(values({ ...settings, ports: [] }, "x")).toBeNull());
});
