/** Seeing the console as another account, and being oneself again. */
import { BASE } from "../app/base";
import { client, ok } from "./client";

/** A fresh document: nothing of what was seen as one account stays in memory when it is seen as another. */
function begins(path: string): void {
  window.location.assign(`${BASE}${path}`);
}

export const seeAs = (id: string, reason: string) =>
  ok(client.POST("/accounts/{id}/impersonation", { params: { path: { id } }, body: { reason } })).then(() =>
    begins("/"),
  );

export const leave = (account: string) =>
  ok(client.DELETE("/session/impersonation")).then(() => begins(`/accounts/${account}`));
