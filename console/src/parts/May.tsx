/** What only shows where the role allows it. The server decides; this hides what it would refuse. */
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { session } from "../api/queries";
import type { Scope } from "../api/types";

export function May({ scope, children }: { scope: Scope; children: ReactNode }) {
  const held = useQuery(session).data?.login.scopes;
  return held?.includes(scope) ? children : null;
}
