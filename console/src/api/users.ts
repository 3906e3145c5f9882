/** The people of the account, and who changed what. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type { Role } from "./types";

export const users = queryOptions({
  queryKey: ["users"],
  queryFn: () => ok(client.GET("/users")),
});

export const invitations = queryOptions({
  queryKey: ["users", "invitations"],
  queryFn: () => ok(client.GET("/users/invitations")),
});

const one = (id: string) => ({ params: { path: { id } } });

export const invite = (email: string, role: Role) =>
  ok(client.POST("/users/invitations", { body: { email, role } }));
export const sendInvitation = (id: string) => ok(client.POST("/users/invitations/{id}/send", one(id)));
export const withdrawInvitation = (id: string) => ok(client.DELETE("/users/invitations/{id}", one(id)));
export const giveRole = (id: string, role: Role) =>
  ok(client.POST("/users/{id}/role", { ...one(id), body: { role } }));
export const handOver = (id: string) => ok(client.POST("/users/{id}/hand-over", one(id)));
export const removeUser = (id: string) => ok(client.DELETE("/users/{id}", one(id)));

export interface AuditFilter {
  who?: string | undefined;
  what?: string | undefined;
  after?: string | undefined;
}

/** Of the account, or of all accounts and the installation. */
export const audit = (of: "own" | "all", filter: AuditFilter) =>
  queryOptions({
    queryKey: ["audit", of, filter],
    queryFn: () => {
      const { who, what, after } = filter;
      const query = { ...(who && { who }), ...(what && { what }), ...(after && { after }) };
      return of === "own"
        ? ok(client.GET("/account/audit", { params: { query } }))
        : ok(client.GET("/audit", { params: { query } }));
    },
    placeholderData: keepPreviousData,
  });
