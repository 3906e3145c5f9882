/** Every page and its address; each page is a chunk of its own. */

import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { session, setup } from "../api/queries";
import { readSearch } from "../pages/messages/filter";
import { DAYS, type Days } from "../pages/statistics/range";
import { isReason } from "../pages/suppressions/reasons";
import { PERIODS, type Period } from "../pages/tracking/periods";
import { DELIVERY_STATES, type DeliveryState } from "../pages/webhooks/words";
import { Bare, Crashed, Missing, Waiting } from "./Bare";
import { BASE } from "./base";
import { cache } from "./cache";
import { parseSearch, stringifySearch } from "./search";

interface Context {
  cache: QueryClient;
}

const root = createRootRouteWithContext<Context>()({
  notFoundComponent: Missing,
  errorComponent: Crashed,
});

/** Only paths of the console itself, never another site's. */
function inside(next: unknown): string | undefined {
  return typeof next === "string" && /^\/(?![/\\])/.test(next) ? next : undefined;
}

const bare = createRoute({ getParentRoute: () => root, id: "bare", component: Bare });

const setupPage = createRoute({
  getParentRoute: () => bare,
  path: "/setup",
  validateSearch: (raw: Record<string, unknown>): { token?: string } =>
    typeof raw.token === "string" ? { token: raw.token } : {},
  beforeLoad: async ({ context }) => {
    if (!(await context.cache.fetchQuery(setup)).needed) throw redirect({ to: "/sign-in" });
  },
  component: lazyRouteComponent(() => import("../pages/entry/Setup"), "Setup"),
});

const signInPage = createRoute({
  getParentRoute: () => bare,
  path: "/sign-in",
  validateSearch: (raw: Record<string, unknown>): { next?: string; ended?: true } => {
    const next = inside(raw.next);
    return { ...(next && { next }), ...(raw.ended === "true" && { ended: true as const }) };
  },
  beforeLoad: async ({ context }) => {
    if ((await context.cache.fetchQuery(setup)).needed) throw redirect({ to: "/setup", search: {} });
  },
  component: lazyRouteComponent(() => import("../pages/entry/SignIn"), "SignIn"),
});

const frame = createRoute({
  getParentRoute: () => root,
  id: "frame",
  beforeLoad: async ({ context, location }) => {
    const me = await context.cache.ensureQueryData(session);
    if (me) return;
    const next = location.href === "/" ? undefined : location.href;
    throw redirect({ to: "/sign-in", search: next ? { next } : {} });
  },
  component: lazyRouteComponent(() => import("./Frame"), "Frame"),
});

const page = <const Path extends string>(
  path: Path,
  load: () => Promise<{ Component: () => React.ReactNode }>,
) => createRoute({ getParentRoute: () => frame, path, component: lazyRouteComponent(load, "Component") });

interface ListSearch {
  q?: string;
  state?: "active" | "paused" | "suspended";
  sort?: "oldest" | "name" | "credits";
  after?: string;
}

function listSearch(raw: Record<string, unknown>): ListSearch {
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
  const q = text(raw.q);
  const after = text(raw.after);
  const state = (["active", "paused", "suspended"] as const).find((one) => one === raw.state);
  const sort = (["oldest", "name", "credits"] as const).find((one) => one === raw.sort);
  return { ...(q && { q }), ...(state && { state }), ...(sort && { sort }), ...(after && { after }) };
}

const messagesPage = createRoute({
  getParentRoute: () => frame,
  path: "/messages",
  validateSearch: readSearch,
  component: lazyRouteComponent(() => import("../pages/messages/Messages"), "Component"),
});

const accountsPage = createRoute({
  getParentRoute: () => frame,
  path: "/accounts",
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import("../pages/accounts/Accounts"), "Component"),
});

const inboxPage = createRoute({
  getParentRoute: () => frame,
  path: "/inbox",
  validateSearch: listSearch,
  component: lazyRouteComponent(() => import("../pages/inbox/Inbox"), "Component"),
});

const attemptsPage = createRoute({
  getParentRoute: () => frame,
  path: "/account/attempts",
  validateSearch: (raw: Record<string, unknown>): { after?: string } =>
    typeof raw.after === "string" && raw.after !== "" ? { after: raw.after } : {},
  component: lazyRouteComponent(() => import("../pages/attempts/Attempts"), "Component"),
});

const creditsPage = createRoute({
  getParentRoute: () => frame,
  path: "/account/credits",
  validateSearch: (raw: Record<string, unknown>): { after?: string } =>
    typeof raw.after === "string" && raw.after !== "" ? { after: raw.after } : {},
  component: lazyRouteComponent(() => import("../pages/credits/Credits"), "Component"),
});

function auditSearch(raw: Record<string, unknown>): { who?: string; what?: string; after?: string } {
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
  const [who, what, after] = [text(raw.who), text(raw.what), text(raw.after)];
  return { ...(who && { who }), ...(what && { what }), ...(after && { after }) };
}

const auditPage = createRoute({
  getParentRoute: () => frame,
  path: "/account/audit",
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import("../pages/audit/Audit"), "Component"),
});

const wholeAuditPage = createRoute({
  getParentRoute: () => frame,
  path: "/audit",
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import("../pages/audit/Audit"), "Everything"),
});

const vouchersPage = createRoute({
  getParentRoute: () => frame,
  path: "/vouchers",
  validateSearch: (raw: Record<string, unknown>): { after?: string } =>
    typeof raw.after === "string" && raw.after !== "" ? { after: raw.after } : {},
  component: lazyRouteComponent(() => import("../pages/vouchers/Vouchers"), "Component"),
});

const suppressionsPage = createRoute({
  getParentRoute: () => frame,
  path: "/suppressions",
  validateSearch: (raw: Record<string, unknown>) => ({
    ...(typeof raw.q === "string" && raw.q !== "" && { q: raw.q }),
    ...(isReason(raw.reason) && { reason: raw.reason }),
    ...(typeof raw.after === "string" && raw.after !== "" && { after: raw.after }),
  }),
  component: lazyRouteComponent(() => import("../pages/suppressions/Suppressions"), "Component"),
});

const statisticsPage = createRoute({
  getParentRoute: () => frame,
  path: "/statistics",
  validateSearch: (raw: Record<string, unknown>): { days?: Days; stream?: string } => {
    const days = DAYS.find((one) => one === String(raw.days));
    return {
      ...(days && { days }),
      ...(typeof raw.stream === "string" && raw.stream !== "" && { stream: raw.stream }),
    };
  },
  component: lazyRouteComponent(() => import("../pages/statistics/Statistics"), "Component"),
});

const tryPage = createRoute({
  getParentRoute: () => frame,
  path: "/try",
  validateSearch: (raw: Record<string, unknown>): { operation?: string } =>
    typeof raw.operation === "string" ? { operation: raw.operation } : {},
  component: lazyRouteComponent(() => import("../pages/try/Try"), "Component"),
});

const webhookPage = createRoute({
  getParentRoute: () => frame,
  path: "/webhooks/$id",
  validateSearch: (raw: Record<string, unknown>): { state?: DeliveryState; after?: string } => {
    const state = DELIVERY_STATES.find((one) => one === raw.state);
    const after = typeof raw.after === "string" && raw.after !== "" ? raw.after : undefined;
    return { ...(state && { state }), ...(after && { after }) };
  },
  component: lazyRouteComponent(() => import("../pages/webhooks/WebhookPage"), "Component"),
});

const trackingPage = createRoute({
  getParentRoute: () => frame,
  path: "/tracking",
  validateSearch: (raw: Record<string, unknown>): { stream?: string; days?: Period } => {
    const stream = typeof raw.stream === "string" && raw.stream !== "" ? raw.stream : undefined;
    const days = PERIODS.find((one) => one === raw.days);
    return { ...(stream && { stream }), ...(days && { days }) };
  },
  component: lazyRouteComponent(() => import("../pages/tracking/Tracking"), "Component"),
});

/** The operator's hooks, which run for everybody, instead of the account's. */
const whoseHooks = (raw: Record<string, unknown>): { everybody?: true } =>
  raw.everybody === true || raw.everybody === "true" ? { everybody: true } : {};

const hooksPage = createRoute({
  getParentRoute: () => frame,
  path: "/hooks",
  validateSearch: whoseHooks,
  component: lazyRouteComponent(() => import("../pages/hooks/Hooks"), "Component"),
});

const newHookPage = createRoute({
  getParentRoute: () => frame,
  path: "/hooks/new",
  validateSearch: (raw: Record<string, unknown>): { everybody?: true; kind?: "rule" | "http" } => ({
    ...whoseHooks(raw),
    ...((raw.kind === "rule" || raw.kind === "http") && { kind: raw.kind }),
  }),
  component: lazyRouteComponent(() => import("../pages/hooks/NewHook"), "Component"),
});

const hookPage = createRoute({
  getParentRoute: () => frame,
  path: "/hooks/$id",
  validateSearch: whoseHooks,
  component: lazyRouteComponent(() => import("../pages/hooks/HookPage"), "Component"),
});

const tree = root.addChildren([
  bare.addChildren([setupPage, signInPage]),
  frame.addChildren([
    page("/", () => import("../pages/overview/Overview")),
    messagesPage,
    page("/messages/$id", () => import("../pages/message/MessagePage")),
    page("/smtp", () => import("../pages/smtp/SmtpSettings")),
    page("/domains", () => import("../pages/domains/Domains")),
    page("/domains/$id", () => import("../pages/domains/DomainPage")),
    page("/streams", () => import("../pages/streams/Streams")),
    statisticsPage,
    tryPage,
    page("/templates", () => import("../pages/templates/Templates")),
    page("/templates/$name", () => import("../pages/templates/TemplatePage")),
    trackingPage,
    page("/send", () => import("../pages/send/Send")),
    page("/smtp-credentials", () => import("../pages/credentials/Credentials")),
    page("/keys", () => import("../pages/keys/Keys")),
    hooksPage,
    newHookPage,
    hookPage,
    page("/webhooks", () => import("../pages/webhooks/Webhooks")),
    webhookPage,
    page("/account", () => import("../pages/account/AccountPage")),
    page("/account/security", () => import("../pages/security/Security")),
    attemptsPage,
    creditsPage,
    page("/users", () => import("../pages/users/Users")),
    auditPage,
    wholeAuditPage,
    inboxPage,
    page("/inbox/$id", () => import("../pages/inbox/InboxMessage")),
    accountsPage,
    page("/accounts/$id", () => import("../pages/accounts/OneAccount")),
    page("/queue", () => import("../pages/queue/QueuePage")),
    page("/ranges", () => import("../pages/ranges/Ranges")),
    vouchersPage,
    suppressionsPage,
    page("/announcements", () => import("../pages/announcements/Announcements")),
    page("/lockouts", () => import("../pages/lockouts/Lockouts")),
  ]),
]);

export const router = createRouter({
  routeTree: tree,
  basepath: BASE,
  context: { cache },
  parseSearch,
  stringifySearch,
  defaultPreload: "intent",
  defaultPendingComponent: Waiting,
  defaultErrorComponent: Crashed,
  defaultNotFoundComponent: Missing,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
