/** Replies of other servers, put together again. */

/** The reply with its codes in front, each of them once. */
export function asItCame(code?: number | null, enhanced?: string | null, reply?: string | null): string {
  const text = reply ?? "";
  if (!code || text.startsWith(String(code))) return text;
  const codes = enhanced && !text.startsWith(enhanced) ? `${code} ${enhanced}` : String(code);
  return `${codes} ${text}`.trim();
}
