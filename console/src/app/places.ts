/** The places of the console in the order of the rail; the search knows the same ones. */
import {
  IconCoins,
  IconGauge,
  IconInbox,
  IconKey,
  IconLock,
  IconLogin2,
  IconMail,
  IconNetwork,
  IconPassword,
  IconPlugConnected,
  IconSend,
  IconShieldLock,
  IconStack2,
  IconUser,
  IconUsers,
  IconWorldCheck,
} from "@tabler/icons-react";
import type { ComponentType } from "react";
import type { Me } from "../api/types";

type PlaceTo =
  | "/"
  | "/messages"
  | "/inbox"
  | "/send"
  | "/smtp"
  | "/domains"
  | "/credentials"
  | "/keys"
  | "/account"
  | "/account/attempts"
  | "/account/credits"
  | "/account/security"
  | "/accounts"
  | "/queue"
  | "/ranges"
  | "/lockouts";

export interface Place {
  to: PlaceTo;
  label: `nav.${"overview" | "messages" | "inbox" | "send" | "smtp" | "domains" | "credentials" | "keys" | "account" | "attempts" | "credits" | "security" | "accounts" | "queue" | "ranges" | "lockouts"}`;
  Icon: ComponentType<{ size?: number; stroke?: number; "aria-hidden"?: boolean }>;
  exact?: boolean;
}

export interface Group {
  id: string;
  label?: "frame.sending" | "frame.operator";
  places: Place[];
}

export function groups(me: Me): Group[] {
  const first: Place[] = [
    { to: "/", label: "nav.overview", Icon: IconGauge, exact: true },
    { to: "/messages", label: "nav.messages", Icon: IconMail },
    // Where mail is delivered for real there is no inbox to look into.
    ...(me.server.route === "capture"
      ? [{ to: "/inbox", label: "nav.inbox", Icon: IconInbox } as const]
      : []),
  ];
  const sending: Place[] = [
    { to: "/smtp", label: "nav.smtp", Icon: IconPlugConnected },
    { to: "/send", label: "nav.send", Icon: IconSend },
    { to: "/domains", label: "nav.domains", Icon: IconWorldCheck },
    { to: "/credentials", label: "nav.credentials", Icon: IconPassword },
    { to: "/keys", label: "nav.keys", Icon: IconKey },
  ];
  const own: Place[] = [
    { to: "/account", label: "nav.account", Icon: IconUser, exact: true },
    { to: "/account/credits", label: "nav.credits", Icon: IconCoins },
    { to: "/account/security", label: "nav.security", Icon: IconShieldLock },
    { to: "/account/attempts", label: "nav.attempts", Icon: IconLogin2 },
  ];
  const operator: Place[] = [
    { to: "/accounts", label: "nav.accounts", Icon: IconUsers },
    { to: "/queue", label: "nav.queue", Icon: IconStack2 },
    { to: "/ranges", label: "nav.ranges", Icon: IconNetwork },
    { to: "/lockouts", label: "nav.lockouts", Icon: IconLock },
  ];
  return [
    { id: "first", places: first },
    { id: "sending", label: "frame.sending", places: sending },
    { id: "own", places: own },
    ...(me.account.operator ? [{ id: "operator", label: "frame.operator" as const, places: operator }] : []),
  ];
}
