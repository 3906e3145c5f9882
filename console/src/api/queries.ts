/** Every question and every command the console puts to the server, one place each. */
import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, ok } from "./client";
import type {
  Account,
  ChangeSmtpCredential,
  ChangeStream,
  CreateKey,
  CreateSmtpCredential,
  CreateStream,
  Me,
  SendMessage,
  SmtpPassword,
} from "./types";

export interface MessageFilter {
  q?: string | undefined;
  state?: string | undefined;
  class?: string | undefined;
  stream?: string | undefined;
  tag?: string | undefined;
  since?: string | undefined;
  until?: string | undefined;
  sort?: "newest" | "oldest" | undefined;
  after?: string | undefined;
  all?: boolean | undefined;
  limit?: number | undefined;
}

export interface AccountFilter {
  q?: string | undefined;
  state?: Account["state"] | undefined;
  sort?: "newest" | "oldest" | "name" | "credits" | undefined;
  after?: string | undefined;
  limit?: number | undefined;
}

export interface InboxFilter {
  q?: string | undefined;
  after?: string | undefined;
  limit?: number | undefined;
}

/** Leaves out what was not asked for, so that addresses and cache keys stay short. */
function given<T extends object>(filter: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(filter).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

export const session = queryOptions({
  queryKey: ["session"],
  queryFn: async (): Promise<Me | null> => {
    const { data, error, response } = await client.GET("/session");
    if (response.status === 401) return null;
    return ok(Promise.resolve({ data, error, response } as { data: Me; response: Response }));
  },
  staleTime: 60_000,
  // Notices a server that went away, a session that ended and credits that were spent elsewhere.
  refetchInterval: 60_000,
});

export const setup = queryOptions({
  queryKey: ["setup"],
  queryFn: () => ok(client.GET("/setup")),
  staleTime: 0,
});

/** Whether accounts can be opened here, which anybody may know. */
export const signUp = queryOptions({
  queryKey: ["sign-up"],
  queryFn: () => ok(client.GET("/sign-up")),
});

export const account = queryOptions({
  queryKey: ["account"],
  queryFn: () => ok(client.GET("/account")),
});

export const smtpSettings = queryOptions({
  queryKey: ["settings", "smtp"],
  queryFn: () => ok(client.GET("/settings/smtp")),
  staleTime: 60_000,
});

export const messages = (filter: MessageFilter) =>
  queryOptions({
    queryKey: ["messages", "list", given(filter)],
    queryFn: () => ok(client.GET("/messages", { params: { query: given(filter) } })),
  });

export const message = (id: string) =>
  queryOptions({
    queryKey: ["messages", "one", id],
    queryFn: () => ok(client.GET("/messages/{id}", { params: { path: { id } } })),
  });

export const senders = queryOptions({
  queryKey: ["senders"],
  queryFn: () => ok(client.GET("/senders")),
});

export const domains = queryOptions({
  queryKey: ["domains"],
  queryFn: () => ok(client.GET("/domains")),
});

export const domain = (id: string) =>
  queryOptions({
    queryKey: ["domains", id],
    queryFn: () => ok(client.GET("/domains/{id}", { params: { path: { id } } })),
  });

export const keys = queryOptions({
  queryKey: ["keys"],
  queryFn: () => ok(client.GET("/keys")),
});

export const streams = queryOptions({
  queryKey: ["streams"],
  queryFn: async () => {
    const { items } = await ok(client.GET("/streams"));
    return { items: items.map((stream) => ({ ...stream, id: stream.slug })) };
  },
});

export const smtpCredentials = queryOptions({
  queryKey: ["smtp-credentials"],
  queryFn: () => ok(client.GET("/smtp-credentials")),
});

export const smtpPasswords = queryOptions({
  queryKey: ["smtp-passwords"],
  queryFn: () => ok(client.GET("/smtp-passwords")),
});

export const accounts = (filter: AccountFilter) =>
  queryOptions({
    queryKey: ["accounts", "list", given(filter)],
    queryFn: () => ok(client.GET("/accounts", { params: { query: given(filter) } })),
    placeholderData: keepPreviousData,
  });

export const oneAccount = (id: string) =>
  queryOptions({
    queryKey: ["accounts", "one", id],
    queryFn: () => ok(client.GET("/accounts/{id}", { params: { path: { id } } })),
  });

/** Who may open an account, and who says so. */
export const signUpMode = queryOptions({
  queryKey: ["sign-up", "mode"],
  queryFn: () => ok(client.GET("/sign-up/mode")),
});

export const accountGuard = (id: string) =>
  queryOptions({
    queryKey: ["accounts", "guard", id],
    queryFn: () => ok(client.GET("/accounts/{id}/guard", { params: { path: { id } } })),
  });

export const accountLimits = (id: string) =>
  queryOptions({
    queryKey: ["accounts", "limits", id],
    queryFn: () => ok(client.GET("/accounts/{id}/limits", { params: { path: { id } } })),
  });

export const accountDetails = (id: string) =>
  queryOptions({
    queryKey: ["accounts", "details", id],
    queryFn: () => ok(client.GET("/accounts/{id}/details", { params: { path: { id } } })),
  });

/** The latest attempts to sign in to an account. */
export const accountAttempts = (id: string) =>
  queryOptions({
    queryKey: ["accounts", "attempts", id],
    queryFn: () => ok(client.GET("/sign-in-attempts", { params: { query: { account: id, limit: 5 } } })),
  });

export const ownGuard = queryOptions({
  queryKey: ["account", "guard"],
  queryFn: () => ok(client.GET("/account/guard")),
});

export const ownLimits = queryOptions({
  queryKey: ["account", "limits"],
  queryFn: () => ok(client.GET("/account/limits")),
});

export const credentials = queryOptions({
  queryKey: ["credentials"],
  queryFn: () => ok(client.GET("/credentials")),
});

export const queue = queryOptions({
  queryKey: ["queue"],
  queryFn: () => ok(client.GET("/queue")),
  refetchInterval: 5_000,
});

export const inbox = (filter: InboxFilter) =>
  queryOptions({
    queryKey: ["inbox", "list", given(filter)],
    queryFn: () => ok(client.GET("/inbox", { params: { query: given(filter) } })),
    placeholderData: keepPreviousData,
  });

/** Content is asked for by kind: what an account sent, or what the capture route kept. */
export type ContentOf = "messages" | "inbox";

export const content = (of: ContentOf, id: string) =>
  queryOptions({
    queryKey: [of, "content", id],
    queryFn: () =>
      of === "messages"
        ? ok(client.GET("/messages/{id}/content", { params: { path: { id } } }))
        : ok(client.GET("/inbox/{id}/content", { params: { path: { id } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const source = (of: ContentOf, id: string) =>
  queryOptions({
    queryKey: [of, "source", id],
    queryFn: () =>
      of === "messages"
        ? ok(client.GET("/messages/{id}/source", { params: { path: { id } }, parseAs: "text" }))
        : ok(client.GET("/inbox/{id}/source", { params: { path: { id } }, parseAs: "text" })),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const transcript = (id: string, ordinal: number, number: number) =>
  queryOptions({
    queryKey: ["transcript", id, ordinal, number],
    queryFn: () =>
      ok(
        client.GET("/messages/{id}/recipients/{ordinal}/attempts/{number}", {
          params: { path: { id, ordinal, number } },
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  });

const path = (id: string) => ({ params: { path: { id } } });
const lane = (ordinal: number, id: string) => ({ params: { path: { id, ordinal } } });

export const commands = {
  setUp: (body: { email: string; password: string; token?: string }) => ok(client.POST("/setup", { body })),
  signIn: (body: { email: string; password: string }) => ok(client.POST("/session", { body })),
  confirmSession: (password: string) => ok(client.POST("/session/confirm", { body: { password } })),
  signOut: () => ok(client.DELETE("/session")),
  changePassword: (body: { current: string; new: string }) => ok(client.POST("/account/password", { body })),
  strength: (body: { password: string; email?: string }, signal: AbortSignal) =>
    ok(client.POST("/password-strength", { body, signal })),
  send: (body: SendMessage) => ok(client.POST("/messages", { body })),
  retryMessage: (id: string) => ok(client.POST("/messages/{id}/retry", path(id))),
  cancelMessage: (id: string) => ok(client.POST("/messages/{id}/cancel", path(id))),
  rescheduleMessage: (id: string, body: { send_at: string }) =>
    ok(client.POST("/messages/{id}/schedule", { ...path(id), body })),
  retryRecipient: (id: string, ordinal: number) =>
    ok(client.POST("/messages/{id}/recipients/{ordinal}/retry", lane(ordinal, id))),
  cancelRecipient: (id: string, ordinal: number) =>
    ok(client.POST("/messages/{id}/recipients/{ordinal}/cancel", lane(ordinal, id))),
  addDomain: (name: string) => ok(client.POST("/domains", { body: { name } })),
  removeDomain: (id: string) => ok(client.DELETE("/domains/{id}", path(id))),
  askForSender: (address: string) => ok(client.POST("/senders", { body: { address } })),
  removeSender: (id: string) => ok(client.DELETE("/senders/{id}", path(id))),
  renewDomainKeys: (id: string) => ok(client.POST("/domains/{id}/keys", path(id))),
  checkDomain: (id: string) => ok(client.POST("/domains/{id}/check", path(id))),
  createStream: (body: CreateStream) => ok(client.POST("/streams", { body })),
  changeStream: (slug: string, body: ChangeStream) =>
    ok(client.PATCH("/streams/{slug}", { params: { path: { slug } }, body })),
  createKey: (body: CreateKey) => ok(client.POST("/keys", { body })),
  revokeKey: (id: string) => ok(client.DELETE("/keys/{id}", path(id))),
  createSmtpCredential: (body: CreateSmtpCredential) => ok(client.POST("/smtp-credentials", { body })),
  changeSmtpCredential: (id: string, body: ChangeSmtpCredential) =>
    ok(client.PATCH("/smtp-credentials/{id}", { ...path(id), body })),
  revokeSmtpCredential: (id: string) => ok(client.DELETE("/smtp-credentials/{id}", path(id))),
  allowSmtpPassword: (body: SmtpPassword) => ok(client.PUT("/smtp-passwords", { body })),
  createAccount: (body: { email: string; password: string; operator: boolean; credits?: number }) =>
    ok(client.POST("/accounts", { body })),
  grantCredits: (id: string, body: { amount: number; reason: string }) =>
    ok(client.POST("/accounts/{id}/credits", { ...path(id), body })),
  suspendAccount: (id: string, body: { reason: string; hold: boolean }) =>
    ok(client.POST("/accounts/{id}/suspend", { ...path(id), body })),
  limitAccount: (id: string, body: { recipients: number | null; first_time: number | null }) =>
    ok(client.PUT("/accounts/{id}/limits", { ...path(id), body })),
  returnHeldMail: (id: string) => ok(client.POST("/accounts/{id}/return", path(id))),
  chooseSignUpMode: (mode: "open" | "invite" | "closed" | null) =>
    ok(client.PUT("/sign-up/mode", { body: { mode } })),
  invite: (body: { email: string; language: "en" | "fr" }) => ok(client.POST("/invitations", { body })),
  resumeOwn: () => ok(client.POST("/account/resume")),
  resumeAccount: (id: string) => ok(client.POST("/accounts/{id}/resume", path(id))),
  createCredential: (body: { account_email: string; range: string; name: string }) =>
    ok(client.POST("/credentials", { body })),
  revokeCredential: (id: string) => ok(client.DELETE("/credentials/{id}", path(id))),
  pauseLane: (name: string) => ok(client.POST("/queue/pause", { body: { lane: name } })),
  resumeLane: (name: string) => ok(client.POST("/queue/resume", { body: { lane: name } })),
  retryLane: (name: string) => ok(client.POST("/queue/retry", { body: { lane: name } })),
  emptyInbox: () => ok(client.DELETE("/inbox")),
};
