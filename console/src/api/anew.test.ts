import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";
import { askAnew } from "./anew";

const key = ["messages", "list"];

/** A page that looks at a list, and the answers that the server still owes it. */
function page() {
  const owed: ((value: string) => void)[] = [];
  const cache = new QueryClient();
  const queryFn = () => new Promise<string>((answer) => owed.push(answer));
  const looked = new QueryObserver(cache, { queryKey: [...key, 1], queryFn, staleTime: 5_000 });
  looked.subscribe(() => {});
  return { cache, owed, shown: () => looked.getCurrentResult().data };
}

it("news that comes while the first answer is on its way is asked for behind it", async () => {
  const { cache, owed, shown } = page();
  const asked = [1, 2, 3].map(() => askAnew(cache, key));
  owed[0]?.("queued");
  await vi.waitFor(() => expect(owed).toHaveLength(2));
  expect(shown()).toBe("queued");
  owed[1]?.("delivered");
  await vi.waitFor(() => expect(shown()).toBe("delivered"));
  await Promise.all(asked);
  expect(owed).toHaveLength(2);
});

it("news that comes later is asked for once", async () => {
  const { cache, owed, shown } = page();
  owed[0]?.("queued");
  await vi.waitFor(() => expect(shown()).toBe("queued"));
  const asked = askAnew(cache, key);
  await vi.waitFor(() => expect(owed).toHaveLength(2));
  owed[1]?.("delivered");
  await asked;
  expect(owed).toHaveLength(2);
});
