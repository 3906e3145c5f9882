/** Who tried to sign in, and who is locked out. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";

export const ownAttempts = (after: string | undefined) =>
  queryOptions({
    queryKey: ["attempts", { after }],
    queryFn: () => ok(client.GET("/account/sign-in-attempts", { params: { query: after ? { after } : {} } })),
    placeholderData: keepPreviousData,
    // Whoever sets a device right watches for its next attempt here.
    refetchInterval: 5_000,
  });

export const lockouts = queryOptions({
  queryKey: ["lockouts"],
  queryFn: () => ok(client.GET("/lockouts")),
  refetchInterval: 10_000,
});

export const liftLockout = (id: string) => ok(client.DELETE("/lockouts/{id}", { params: { path: { id } } }));
