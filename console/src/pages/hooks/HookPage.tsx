/** One hook: what it says, trying it out, how its runs went, and its versions. */
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { changeHook, deleteHook, hook as hookQuery } from "../../api/hooks";
import { session } from "../../api/queries";
import type { Hook } from "../../api/types";
import { useAct } from "../../parts/act";
import { confirm } from "../../parts/confirm";
import { Failure, Lines } from "../../parts/Feedback";
import { Page } from "../../parts/Page";
import { type Draft, Editing } from "./Editing";
import { Runs, Versions } from "./History";

const route = getRouteApi("/frame/hooks/$id");

export function Component() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const everybody = route.useSearch().everybody === true;
  const query = useQuery(hookQuery(id, everybody));
  const back = { to: "/hooks", label: t("nav.hooks") } as const;
  if (!query.data) {
    return (
      <Page title={t("nav.hooks")} back={back}>
        {query.error ? <Failure error={query.error} again={() => void query.refetch()} /> : <Lines n={8} />}
      </Page>
    );
  }
  const { hook, body } = query.data;
  // A new version from elsewhere begins the form anew.
  return (
    <Page title={hook.name} back={back}>
      <Loaded key={`${hook.id} ${hook.version}`} hook={hook} body={body} everybody={everybody} />
    </Page>
  );
}

function Loaded({ hook, body, everybody }: { hook: Hook; body: string; everybody: boolean }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const scopes = useQuery(session).data?.login.scopes;
  const mayChange = scopes?.includes(everybody ? "operator" : "account") === true;
  const [draft, setDraft] = useState<Draft>({
    name: hook.name,
    body,
    enabled: hook.enabled,
    on_fault: hook.on_fault,
  });
  const save = useAct({
    run: () => changeHook(hook.id, everybody, draft),
    stale: [["hooks"]],
    silent: true,
    said: () => t("hooks.saved"),
  });
  const restore = useAct({
    run: (version: number) => changeHook(hook.id, everybody, { restore: version }),
    stale: [["hooks"]],
    said: () => t("hooks.saved"),
  });
  const remove = useAct({
    run: () => deleteHook(hook.id, everybody),
    stale: [["hooks", "list"]],
    said: () => t("hooks.deleted"),
    done: () => void navigate({ to: "/hooks", search: everybody ? { everybody: true } : {} }),
  });
  const askDelete = () =>
    confirm({
      title: t("hooks.deleteTitle", { name: hook.name }),
      text: t("hooks.deleteText"),
      yes: t("hooks.delete"),
      act: () => remove.mutate(),
    });
  return (
    <>
      <Editing
        kind={hook.kind}
        draft={draft}
        change={setDraft}
        save={() => save.mutate()}
        busy={save.isPending}
        fault={save.error}
        mayChange={mayChange}
        {...(!everybody && { hook: hook.id })}
      >
        <Button variant="default" onClick={askDelete}>
          {t("hooks.delete")}
        </Button>
      </Editing>
      <Runs hook={hook} everybody={everybody} />
      <Versions
        hook={hook}
        everybody={everybody}
        look={(older) => setDraft({ ...draft, body: older })}
        restore={mayChange ? (version) => restore.mutate(version) : undefined}
      />
    </>
  );
}
