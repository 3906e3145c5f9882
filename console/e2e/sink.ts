/** A receiving server that answers each recipient by the name of its mailbox. */
import { createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";

export interface Sink {
  port: number;
  stop: () => Promise<void>;
}

/** What RCPT is answered, by how the mailbox begins; every other mailbox takes its mail. */
const ANSWERS = [
  ["gone", "550 5.1.1 <%> User unknown; see https://receiver.example/help/no-such-user"],
  ["full", "452 4.2.2 <%> Mailbox full, quota of 2 GB exceeded"],
  ["blocked", "554 5.7.1 <%> Service unavailable; client host [192.0.2.7] blocked using a blocklist"],
  ["greylisted", "450 4.7.1 <%> Greylisted, come back in 300 seconds"],
] as const;

function answer(command: string): string {
  const address = /<(.*?)>/.exec(command)?.[1] ?? "";
  const found = ANSWERS.find(([mailbox]) => address.startsWith(mailbox));
  return found ? found[1].replace("%", address) : "250 2.1.5 Ok";
}

function serve(socket: Socket) {
  const say = (line: string) => socket.write(`${line}\r\n`);
  let inText = false;
  say("220 receiver.example ESMTP");
  socket.on("error", () => socket.destroy());
  createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
    if (inText) {
      if (line !== ".") return;
      inText = false;
      say("250 2.0.0 Ok: queued as 4XyZ12");
      return;
    }
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === "EHLO") {
      say("250-receiver.example");
      say("250-PIPELINING");
      say("250 ENHANCEDSTATUSCODES");
    } else if (verb === "RCPT") say(answer(line));
    else if (verb === "DATA") {
      inText = true;
      say("354 Go ahead");
    } else if (verb === "QUIT") {
      say("221 2.0.0 Bye");
      socket.end();
    } else say("250 2.0.0 Ok");
  });
}

export async function startSink(): Promise<Sink> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    serve(socket);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the sink has a port");
  return {
    port: address.port,
    stop: () =>
      new Promise((stopped) => {
        for (const socket of open) socket.destroy();
        server.close(() => stopped());
      }),
  };
}
