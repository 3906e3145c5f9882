/** A hook that is still to be made. */
import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { IconKey } from "@tabler/icons-react";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { createHook } from "../../api/hooks";
import type { Hook } from "../../api/types";
import { useAct } from "../../parts/act";
import { CodeBlock } from "../../parts/Copy";
import { Page } from "../../parts/Page";
import { type Draft, Editing } from "./Editing";
import { NEW_RECEIVER } from "./ReceiverFields";
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
    body: { script: FIRST_SCRIPT, rule: ruleText(NEW_RULE), http: NEW_RECEIVER }[kind],
    enabled: true,
    on_fault: "open",
  });
  const [made, setMade] = useState<Hook>();
  const show = (hook: Hook) =>
    void navigate({
      to: "/hooks/$id",
      params: { id: hook.id },
      search: everybody ? { everybody: true } : {},
    });
  const create = useAct({
    run: () => createHook(everybody, { kind, ...draft }),
    stale: [["hooks"]],
    silent: true,
    said: (_, made) => t("hooks.made", { name: made.name }),
    done: (hook) => (hook.secret ? setMade(hook) : show(hook)),
  });
  if (made?.secret) {
    return (
      <Page title={made.name} back={{ to: "/hooks", label: t("nav.hooks") }}>
        <Alert color="teal" variant="outline" icon={<IconKey aria-hidden />} title={t("webhooks.once")}>
          <Stack gap="xs">
            <Text>{t("webhooks.onceHint")}</Text>
            <CodeBlock text={made.secret} what={t("webhooks.secret")} />
            <Group>
              <Button size="xs" variant="default" onClick={() => show(made)}>
                {t("webhooks.done")}
              </Button>
            </Group>
          </Stack>
        </Alert>
      </Page>
    );
  }
  return (
    <Page
      title={t(
        ({ script: "hooks.create", rule: "hooks.createRule", http: "hooks.createHttp" } as const)[kind],
      )}
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
