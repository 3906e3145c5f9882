/** Runs the real binary on ports of its own with an empty data directory and the capture route. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const BINARY = resolve(
  process.env.POSTHOUSE_BIN ?? join(import.meta.dirname, "../../target/debug/posthouse"),
);
const START_MS = 60_000;

export interface Server {
  url: string;
  /** The port with STARTTLS. */
  smtpPort: number;
  /** Lets so many minutes pass for it. */
  pass: (minutes: number) => Promise<void>;
  /** What the first start asks for when it is not asked from this machine; empty where it is. */
  token: () => Promise<string>;
  stop: () => Promise<void>;
}

interface LogLine {
  message?: string;
  listener?: string;
  address?: string;
}

export async function startServer(settings: Record<string, string> = {}): Promise<Server> {
  if (!existsSync(BINARY)) throw new Error(`There is no binary at ${BINARY}; build it or set POSTHOUSE_BIN`);
  const data = await mkdtemp(join(tmpdir(), "posthouse-e2e-"));
  const clock = join(data, "clock");
  let passed = 0;
  const child = spawn(BINARY, ["serve"], {
    cwd: data,
    env: {
      PATH: process.env.PATH,
      POSTHOUSE__SERVER__DATA_DIR: data,
      POSTHOUSE__SERVER__HOSTNAME: "mail.example.com",
      POSTHOUSE__HTTP__LISTEN: "127.0.0.1:0",
      POSTHOUSE__SMTP__SUBMISSION: "127.0.0.1:0",
      POSTHOUSE__SMTP__SUBMISSIONS: "127.0.0.1:0",
      POSTHOUSE__DELIVERY__ROUTE: "capture",
      POSTHOUSE__LOG__FORMAT: "json",
      POSTHOUSE_TEST_CLOCK: clock,
      ...settings,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const { http, submission } = await listening(child);
  return {
    url: `http://${http.replace("0.0.0.0", "127.0.0.1")}`,
    smtpPort: Number(submission?.split(":").at(-1)),
    pass: async (minutes) => {
      passed += minutes * 60;
      await writeFile(`${clock}.new`, String(passed));
      await rename(`${clock}.new`, clock);
    },
    token: async () => {
      const file = join(data, "setup-token");
      return existsSync(file) ? (await readFile(file, "utf8")).trim() : "";
    },
    stop: async () => {
      await ended(child);
      await rm(data, { recursive: true, force: true });
    },
  };
}

interface Listening {
  http: string;
  submission?: string | undefined;
}

/** The addresses of the listeners, as the server logs them; that of HTTP comes last. */
function listening(child: ChildProcess): Promise<Listening> {
  return new Promise((found, failed) => {
    const lines: string[] = [];
    let submission: string | undefined;
    const give = (why: string) => failed(new Error(`${why}:\n${lines.slice(-30).join("\n")}`));
    const late = setTimeout(() => give("The server did not listen in time"), START_MS);
    child.once("exit", (code) => give(`The server ended with ${code}`));
    if (!child.stderr) throw new Error("stderr is a pipe");
    // Read to the end of its life, or the pipe fills up and the server stands still.
    createInterface({ input: child.stderr }).on("line", (line) => {
      lines.push(line);
      const { message, listener, address } = parsed(line);
      if (message !== "listening" || !address) return;
      if (listener === "submission") submission = address;
      if (listener === "http") {
        clearTimeout(late);
        found({ http: address, submission });
      }
    });
  });
}

function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    // What is printed before the log is set up is for people.
    return {};
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    if (child.exitCode !== null) return done();
    const force = setTimeout(() => child.kill("SIGKILL"), 30_000);
    child.once("exit", () => {
      clearTimeout(force);
      done();
    });
    child.kill("SIGTERM");
  });
}
