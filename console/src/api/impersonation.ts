/** Seeing the console as another account, and being oneself again. */
import { BASE } from "../app/base";
import { ApiError, beOneself, client, ok } from "./client";

export const seeAs = (id: string, reason: string) =>
  ok(client.POST("/accounts/{id}/impersonation", { params: { path: { id } }, body: { reason } })).then(() =>
    // A fresh document: nothing of what was seen as one account stays in memory when it is seen as another.
    window.location.assign(`${BASE}/`),
  );

export async function leave(account: string): Promise<never> {
  const response = await beOneself(`/accounts/${account}`);
  throw new ApiError(response.status, await response.json().catch(() => ({})));
}
