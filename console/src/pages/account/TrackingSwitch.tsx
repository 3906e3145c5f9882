/** Whether anything of the account's mail may be tracked: one switch over messages, streams and domains. */
import { Anchor, Paper, Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { session } from "../../api/queries";
import { accountTracking, switchTracking } from "../../api/tracking";
import { useAct } from "../../parts/act";
import { Section } from "../../parts/Page";
import classes from "./Account.module.css";

export function TrackingSwitch() {
  const { t } = useTranslation();
  const allowed = useQuery(accountTracking).data?.allowed;
  const mayChange = useQuery(session).data?.login.scopes.includes("account") === true;
  const change = useAct({
    run: (allowed: boolean) => switchTracking({ allowed }),
    stale: [["account-tracking"]],
    said: (_, { allowed }) => t(allowed ? "mayTrack.accountOn" : "mayTrack.accountOff"),
  });
  if (allowed === undefined) return null;
  return (
    <Section
      title={t("mayTrack.title")}
      hint={
        <>
          {t("mayTrack.hint")}{" "}
          <Anchor href="/help/opens-and-clicks" size="sm" underline="always">
            {t("mayTrack.help")}
          </Anchor>
        </>
      }
    >
      <Paper className={classes.card}>
        <Switch
          label={t("mayTrack.account")}
          description={t("mayTrack.accountHint")}
          checked={allowed}
          disabled={!mayChange || change.isPending}
          onChange={(event) => change.mutate(event.currentTarget.checked)}
        />
      </Paper>
    </Section>
  );
}
