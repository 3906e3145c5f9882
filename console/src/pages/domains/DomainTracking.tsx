/** What may be tracked of a domain's mail, over what messages and streams ask for. */
import { Anchor, Paper, Stack, Switch } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { domain as domainQuery, session } from "../../api/queries";
import { accountTracking, switchDomainTracking } from "../../api/tracking";
import type { Domain, DomainTracking as Tracking } from "../../api/types";
import { useAct } from "../../parts/act";
import { Section } from "../../parts/Page";
import classes from "./Domain.module.css";

const KINDS = ["opens", "clicks"] as const;

export function DomainTracking({ domain }: { domain: Domain }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const scopes = useQuery(session).data?.login.scopes;
  const account = useQuery(accountTracking).data;
  const change = useAct({
    run: (tracking: Tracking) => switchDomainTracking(domain.id, tracking),
    stale: [["domains"]],
    said: () => t("mayTrack.domainChanged", { name: domain.name }),
    done: (changed) => cache.setQueryData(domainQuery(domain.id).queryKey, changed),
  });
  const off = account?.allowed === false;
  return (
    <Section
      title={t("mayTrack.title")}
      hint={
        <>
          {t(off ? "mayTrack.domainHintOff" : "mayTrack.domainHint")}{" "}
          <Anchor href="/help/opens-and-clicks" size="sm" underline="always">
            {t("mayTrack.help")}
          </Anchor>
        </>
      }
    >
      <Paper className={classes.record}>
        <Stack gap="xs">
          {KINDS.map((kind) => (
            <Switch
              key={kind}
              label={t(`mayTrack.${kind}`)}
              checked={domain.tracking[kind]}
              disabled={scopes?.includes("domains") !== true || change.isPending}
              onChange={(event) => change.mutate({ ...domain.tracking, [kind]: event.currentTarget.checked })}
            />
          ))}
        </Stack>
      </Paper>
    </Section>
  );
}
