// Sends standard input with nodemailer: HOST PORT starttls|tls plain|login USER PASSWORD FROM TO...
import { buffer } from "node:stream/consumers";
import nodemailer from "nodemailer";

const [host, port, security, mechanism, user, pass, from, ...to] = process.argv.slice(2);
const raw = await buffer(process.stdin);

const transport = nodemailer.createTransport({
  host,
  port: Number(port),
  secure: security === "tls",
  requireTLS: security === "starttls",
  authMethod: mechanism.toUpperCase(),
  auth: { user, pass },
  tls: { rejectUnauthorized: false },
});
const sent = await transport.sendMail({ envelope: { from, to }, raw });
if (sent.rejected.length > 0) {
  throw new Error(`refused: ${sent.rejected}`);
}
transport.close();
