/** Why an address is suppressed, in the order of the filter. */
import type { SuppressionReason } from "../../api/types";

export const REASONS = ["hard_bounce", "complaint", "unsubscribe", "manual", "import"] as const;

export const isReason = (text: unknown): text is SuppressionReason =>
  REASONS.some((reason) => reason === text);
