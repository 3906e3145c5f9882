/** When credits are few: the same steps at which the server mails. */
import type { Account } from "../../api/types";

export type Low = "fifth" | "twentieth" | "nothing";

export function low({ credits, credit_mark }: Pick<Account, "credits" | "credit_mark">): Low | null {
  if (typeof credits !== "number") return null;
  if (credits <= 0) return "nothing";
  if (credits * 20 <= credit_mark) return "twentieth";
  return credits * 5 <= credit_mark ? "fifth" : null;
}
