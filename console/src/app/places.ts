/** The places of the console in the order of the rail; the search knows the same ones. */
import {
  IconApi,
  IconBan,
  IconChartBar,
  IconCoins,
  IconGauge,
  IconHistory,
  IconInbox,
  IconKey,
  IconLock,
  IconLogin2,
  IconMail,
  IconMailOpened,
  IconNetwork,
  IconPassword,
  IconPlugConnected,
  IconRoute,
  IconScript,
  IconSend,
  IconShieldLock,
  IconSpeakerphone,
  IconStack2,
  IconTemplate,
  IconTicket,
  IconUser,
  IconUsers,
  IconUsersGroup,
  IconWebhook,
  IconWorldCheck,
} from "@tabler/icons-react";
import type { ComponentType } from "react";
import type { Me, Scope } from "../api/types";

type PlaceTo =
  | "/"
  | "/messages"
  | "/statistics"
  | "/try"
  | "/inbox"
  | "/send"
  | "/smtp"
  | "/domains"
  | "/streams"
  | "/templates"
  | "/tracking"
  | "/suppressions"
  | "/smtp-credentials"
  | "/keys"
  | "/hooks"
  | "/webhooks"
  | "/account"
  | "/account/attempts"
  | "/account/credits"
  | "/account/security"
  | "/users"
  | "/account/audit"
  | "/audit"
  | "/accounts"
  | "/queue"
  | "/ranges"
  | "/lockouts"
  | "/vouchers"
  | "/announcements";

export interface Place {
  to: PlaceTo;
  label: `nav.${"overview" | "messages" | "statistics" | "tryApi" | "inbox" | "send" | "smtp" | "domains" | "streams" | "tracking" | "templates" | "suppressions" | "credentials" | "keys" | "hooks" | "webhooks" | "account" | "attempts" | "credits" | "security" | "users" | "audit" | "auditAll" | "accounts" | "queue" | "ranges" | "lockouts" | "vouchers" | "announcements"}`;
  Icon: ComponentType<{ size?: number; stroke?: number; "aria-hidden"?: boolean }>;
  exact?: boolean;
  /** The scope that the page asks for; without one everybody may look. */
  needs?: Scope;
  /** It is not shown to an operator who sees the console in the account's place. */
  own?: true;
}

export interface Group {
  id: string;
  label?: "frame.sending" | "frame.operator";
  places: Place[];
}

/** Every place there is on this server, whoever may go there. */
function everywhere(me: Me): Group[] {
  const first: Place[] = [
    { to: "/", label: "nav.overview", Icon: IconGauge, exact: true },
    { to: "/messages", label: "nav.messages", Icon: IconMail },
    { to: "/statistics", label: "nav.statistics", Icon: IconChartBar },
    // Where mail is delivered for real there is no inbox to look into.
    ...(me.server.route === "capture"
      ? [{ to: "/inbox", label: "nav.inbox", Icon: IconInbox } as const]
      : []),
  ];
  const sending: Place[] = [
    { to: "/smtp", label: "nav.smtp", Icon: IconPlugConnected },
    { to: "/send", label: "nav.send", Icon: IconSend, needs: "send" },
    { to: "/domains", label: "nav.domains", Icon: IconWorldCheck },
    { to: "/streams", label: "nav.streams", Icon: IconRoute },
    { to: "/templates", label: "nav.templates", Icon: IconTemplate, needs: "send" },
    { to: "/tracking", label: "nav.tracking", Icon: IconMailOpened },
    { to: "/suppressions", label: "nav.suppressions", Icon: IconBan },
    { to: "/smtp-credentials", label: "nav.credentials", Icon: IconPassword, needs: "credentials" },
    { to: "/keys", label: "nav.keys", Icon: IconKey, needs: "credentials" },
    { to: "/hooks", label: "nav.hooks", Icon: IconScript, own: true },
    { to: "/webhooks", label: "nav.webhooks", Icon: IconWebhook, own: true },
    { to: "/try", label: "nav.tryApi", Icon: IconApi, own: true },
  ];
  const own: Place[] = [
    { to: "/account", label: "nav.account", Icon: IconUser, exact: true },
    { to: "/account/credits", label: "nav.credits", Icon: IconCoins },
    { to: "/account/security", label: "nav.security", Icon: IconShieldLock, own: true },
    { to: "/account/attempts", label: "nav.attempts", Icon: IconLogin2, own: true },
    { to: "/users", label: "nav.users", Icon: IconUsersGroup, needs: "account" },
    { to: "/account/audit", label: "nav.audit", Icon: IconHistory, needs: "account" },
  ];
  const operator: Place[] = [
    { to: "/accounts", label: "nav.accounts", Icon: IconUsers },
    { to: "/queue", label: "nav.queue", Icon: IconStack2 },
    { to: "/ranges", label: "nav.ranges", Icon: IconNetwork },
    { to: "/lockouts", label: "nav.lockouts", Icon: IconLock },
    { to: "/vouchers", label: "nav.vouchers", Icon: IconTicket },
    { to: "/announcements", label: "nav.announcements", Icon: IconSpeakerphone },
    { to: "/audit", label: "nav.auditAll", Icon: IconHistory },
  ];
  return [
    { id: "first", places: first },
    { id: "sending", label: "frame.sending", places: sending },
    { id: "own", places: own },
    {
      id: "operator",
      label: "frame.operator",
      places: operator.map((place) => ({ ...place, needs: "operator" as const })),
    },
  ];
}

const holds = (me: Me, place: Pick<Place, "needs" | "own"> | undefined) =>
  (place?.needs === undefined || me.login.scopes.includes(place.needs)) && !(place?.own && me.impersonation);

/** The places that the role of whoever is signed in opens. */
export function groups(me: Me): Group[] {
  return everywhere(me)
    .map((group) => ({ ...group, places: group.places.filter((place) => holds(me, place)) }))
    .filter(({ places }) => places.length > 0);
}

/** Whether the role opens what stands at this path, which may be a page below a place. */
export function opens(me: Me, path: string): boolean {
  const above = everywhere(me)
    .flatMap(({ places }) => places)
    .filter(({ to }) => path === to || path.startsWith(`${to}/`))
    .sort((a, b) => b.to.length - a.to.length);
  return holds(me, above[0]);
}
