/** The typed client of the HTTP API, and the one error its calls throw. */
import createClient from "openapi-fetch";
import { BASE } from "../app/base";
import { isFresh } from "./fresh";
import type { components, paths } from "./schema";

export type Problem = components["schemas"]["Problem"];

/** What the server refused, or `status` 0 when it could not be reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly fields: Record<string, string>;
  /** The path of the help article about this kind of refusal. */
  readonly help: string | undefined;

  constructor(status: number, problem: Partial<Problem>) {
    super(problem.detail || problem.title || `The server answered ${status} without a reason`);
    this.name = "ApiError";
    this.status = status;
    // A path of ours, whatever answered: nothing else becomes a link.
    this.help = /^\/help\/[a-z0-9-]+$/.test(problem.help ?? "") ? problem.help : undefined;
    // One field of a form holds a whole list, so `to[3]` is a fault of `to`.
    const faults = (problem.errors ?? []).map((e) => [e.field.replace(/\[\d+\]$/, ""), e.message]);
    this.fields = Object.fromEntries(faults.reverse());
  }
}

const CONFIRM = "/problems/confirm-password";
const OVER = "/problems/impersonation-over";

/** Whether the server refused with this status and this kind of problem. */
async function refused(response: Response, status: number, type: string): Promise<boolean> {
  if (response.status !== status) return false;
  const problem = (await response
    .clone()
    .json()
    .catch(() => ({}))) as Partial<Problem>;
  return problem.type === type;
}

/** Until the fresh document is there, which takes the place of everything that waits for an answer. */
let leaving: Promise<Response> | undefined;

async function leave(to: string): Promise<Response> {
  const left = await fetch("/api/v1/session/impersonation", { method: "DELETE" });
  // A document where nothing was left would only come here again.
  if (!left.ok) return left;
  // Nor does it come back as it was, from what the browser keeps for its Back button.
  window.addEventListener("pageshow", ({ persisted }) => persisted && window.location.reload());
  window.location.assign(`${BASE}${to}`);
  return new Promise(() => {});
}

/**
 * What was seen as another account is over: a fresh document as whoever looked, in which nothing of it stays. It is left
 * once, however many requests hear that it is over; an answer there is only where that could not be.
 */
export async function beOneself(to = "/accounts"): Promise<Response> {
  leaving ??= leave(to).finally(() => {
    leaving = undefined;
  });
  return (await leaving).clone();
}

/** Sends a request; where the server wants the password again, asks for it and sends the same request once more. */
async function send(request: Request): Promise<Response> {
  // What a page of another's asks for now would be answered as whoever looked.
  if (leaving) return beOneself();
  if (request.method === "GET") {
    const answer = await fetch(request);
    return (await refused(answer, 401, OVER)) ? beOneself() : answer;
  }
  const again = request.clone();
  const response = await fetch(request);
  if (await refused(response, 401, OVER)) return beOneself();
  if (!(await refused(response, 403, CONFIRM)) || !(await isFresh())) return response;
  return fetch(again);
}

const client = createClient<paths>({ baseUrl: "/api/v1", credentials: "same-origin", fetch: send });

client.use({
  onError({ error }) {
    const why = error instanceof Error ? error.message : String(error);
    return new ApiError(0, { detail: why });
  },
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Unwraps one answer: its data, or an ApiError with the server's own words. */
export async function ok<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  const problem = typeof error === "object" && error !== null ? (error as Partial<Problem>) : {};
  throw new ApiError(response.status, problem);
}

export { client };
