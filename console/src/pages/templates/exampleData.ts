/** The names of the variables in a template, each with itself as its value, so that a first preview needs no typing. */
export function exampleData(source: string): string {
  const data: Record<string, unknown> = {};
  for (const [, path] of source.matchAll(/\{\{-?\s*([A-Za-z_][\w.]*)/g)) {
    if (!path || path === "unsubscribe_url") continue;
    const names = path.split(".");
    const last = names.pop() as string;
    let at: Record<string, unknown> = data;
    for (const name of names) {
      if (typeof at[name] !== "object") at[name] = {};
      at = at[name] as Record<string, unknown>;
    }
    at[last] ??= last;
  }
  return JSON.stringify(data, null, 2);
}
