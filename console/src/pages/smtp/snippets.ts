/** Ready settings for common programs, made of this installation's real values. */
import type { SmtpSettings } from "../../api/types";

export type Program = "swaks" | "python" | "node" | "php" | "thunderbird";

export const PROGRAMS: readonly Program[] = ["swaks", "python", "node", "php", "thunderbird"];

interface Values {
  host: string;
  port: number;
  starttls: boolean;
  username: string;
  sender: string;
  password: string;
  /** Whether the client has to be told that this certificate is not from a known authority. */
  selfSigned: boolean;
}

/** The port a newcomer should take: STARTTLS where there is one, as every example knows it. */
export function values(settings: SmtpSettings, password: string): Values | null {
  const port = settings.ports.find((one) => one.security === "starttls") ?? settings.ports[0];
  if (!port) return null;
  const address = settings.senders.find((sender) => /^[^@*]+@/.test(sender));
  return {
    host: settings.hostname,
    port: port.port,
    starttls: port.security === "starttls",
    username: settings.username,
    sender: address ?? settings.username,
    password,
    selfSigned: settings.certificate?.self_signed ?? false,
  };
}

/** A shell word: single quotes, which hold everything but themselves. */
function shell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function php(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

const write: Record<Program, (v: Values) => string> = {
  swaks: (v) =>
    `swaks --server ${shell(v.host)}:${v.port} ${v.starttls ? "--tls" : "--tls-on-connect"} \\
  --auth PLAIN --auth-user ${shell(v.username)} \\
  --from ${shell(v.sender)} --to ${shell(v.sender)}`,

  python: (v) => {
    const trust = v.selfSigned
      ? `# The certificate is self-signed: save it as posthouse.pem and trust it.
context = ssl.create_default_context(cafile="posthouse.pem")`
      : "context = ssl.create_default_context()";
    const open = v.starttls
      ? `with smtplib.SMTP(${JSON.stringify(v.host)}, ${v.port}) as smtp:
    smtp.starttls(context=context)`
      : `with smtplib.SMTP_SSL(${JSON.stringify(v.host)}, ${v.port}, context=context) as smtp:`;
    return `import smtplib, ssl
from email.message import EmailMessage

mail = EmailMessage()
mail["From"] = ${JSON.stringify(v.sender)}
mail["To"] = ${JSON.stringify(v.sender)}
mail["Subject"] = "Hello from Python"
mail.set_content("It works.")

${trust}
${open}
    smtp.login(${JSON.stringify(v.username)}, ${JSON.stringify(v.password)})
    smtp.send_message(mail)`;
  },

  node: (v) =>
    `import { readFileSync } from "node:fs";
import nodemailer from "nodemailer";

const transport = nodemailer.createTransport({
  host: ${JSON.stringify(v.host)},
  port: ${v.port},
  secure: ${!v.starttls},${v.starttls ? "\n  requireTLS: true," : ""}
  auth: { user: ${JSON.stringify(v.username)}, pass: ${JSON.stringify(v.password)} },${
    v.selfSigned
      ? '\n  // The certificate is self-signed: save it as posthouse.pem and trust it.\n  tls: { ca: readFileSync("posthouse.pem") },'
      : ""
  }
});

await transport.sendMail({
  from: ${JSON.stringify(v.sender)},
  to: ${JSON.stringify(v.sender)},
  subject: "Hello from Node",
  text: "It works.",
});`.replace(v.selfSigned ? "" : 'import { readFileSync } from "node:fs";\n', ""),

  php: (v) => `<?php
require 'vendor/autoload.php';

use PHPMailer\\PHPMailer\\PHPMailer;

$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->Host = ${php(v.host)};
$mail->Port = ${v.port};
$mail->SMTPSecure = ${v.starttls ? "PHPMailer::ENCRYPTION_STARTTLS" : "PHPMailer::ENCRYPTION_SMTPS"};
$mail->SMTPAuth = true;
$mail->Username = ${php(v.username)};
$mail->Password = ${php(v.password)};${
    v.selfSigned
      ? "\n// The certificate is self-signed: save it as posthouse.pem and trust it.\n$mail->SMTPOptions = ['ssl' => ['cafile' => 'posthouse.pem']];"
      : ""
  }
$mail->CharSet = 'UTF-8';
$mail->setFrom(${php(v.sender)});
$mail->addAddress(${php(v.sender)});
$mail->Subject = 'Hello from PHP';
$mail->Body = 'It works.';
$mail->send();`,

  thunderbird: (v) => `Server name            ${v.host}
Port                   ${v.port}
Connection security    ${v.starttls ? "STARTTLS" : "SSL/TLS"}
Authentication method  Normal password
User name              ${v.username}`,
};

export function snippet(program: Program, v: Values): string {
  return write[program](v);
}
