/** A hook that is still to be made. */
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { createHook } from "../../api/hooks";
import { useAct } from "../../parts/act";
import { Page } from "../../parts/Page";
import { type Draft, Editing } from "./Editing";
import { NEW_RULE, ruleText } from "./rule";
import { FIRST_SCRIPT } from "./words";

const route = getRouteApi("/frame/hooks/new");

export function Component() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const everybody = search.everybody === true;
  const kind = search.kind ?? "script";
  const navigate = useNavigate();
  const [draft, setDraft] = useState<Draft>({
    name: "",
    body: kind === "rule" ? ruleText(NEW_RULE) : FIRST_SCRIPT,
    enabled: true,
    on_fault: "open",
  });
  const create = useAct({
    run: () => createHook(everybody, { kind, ...draft }),
    stale: [["hooks"]],
    silent: true,
    said: (_, made) => t("hooks.made", { name: made.name }),
    done: (made) =>
      void navigate({
        to: "/hooks/$id",
        params: { id: made.id },
        search: everybody ? { everybody: true } : {},
      }),
  });
  return (
    <Page
      title={t(kind === "rule" ? "hooks.createRule" : "hooks.create")}
      back={{ to: "/hooks", label: t("nav.hooks") }}
    >
      <Editing
        kind={kind}
        draft={draft}
        change={setDraft}
        save={() => create.mutate()}
        busy={create.isPending}
        fault={create.error}
        mayChange
      />
    </Page>
  );
}
