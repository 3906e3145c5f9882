/** One's own account: who, credits, password. */
import { Button, Group, Paper, PasswordInput, Stack } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { account, commands, ownGuard, ownLimits, session } from "../../api/queries";
import type { Account, Me } from "../../api/types";
import { count } from "../../format/number";
import { absolute } from "../../format/time";
import { useAct } from "../../parts/act";
import { CopyValue } from "../../parts/Copy";
import { Facts } from "../../parts/Facts";
import { Failure, FormFault, Lines } from "../../parts/Feedback";
import { NewPassword } from "../../parts/NewPassword";
import { Page, Section } from "../../parts/Page";
import { State } from "../../parts/State";
import { DayFacts } from "../accounts/DayLimits";
import { GuardFacts } from "../accounts/Guarded";
import classes from "./Account.module.css";
import { Retention } from "./Retention";
import { TrackingSwitch } from "./TrackingSwitch";

export function Component() {
  const { t } = useTranslation();
  const me = useQuery(session).data;
  const query = useQuery(account);
  return (
    <Page title={t("account.title")} intro={t("account.intro")} narrow>
      {query.data && me ? (
        <About account={query.data} me={me} />
      ) : query.error ? (
        <Failure error={query.error} again={() => void query.refetch()} />
      ) : (
        <Lines n={6} />
      )}
      {query.data && <Sending />}
      {query.data && <Retention />}
      {query.data && <TrackingSwitch />}
      {me && !me.impersonation && <Password email={me.login.email} />}
    </Page>
  );
}

function About({ account, me }: { account: Account; me: Me }) {
  const { t } = useTranslation();
  return (
    <Section title={t("account.about")}>
      <Paper className={classes.card}>
        <Facts
          facts={[
            [t("account.email"), <CopyValue key="e" value={me.login.email} what={t("account.email")} />],
            account.name !== me.login.email && [t("account.name"), account.name],
            [
              t("account.state"),
              <span key="s">
                <State state={account.state} /> {account.state_reason}
              </span>,
            ],
            [
              t("account.credits"),
              <span key="c">
                {account.credits === null || account.credits === undefined
                  ? t("account.unlimited")
                  : count(account.credits)}{" "}
                <span className={classes.hint}>{t("account.creditsHint")}</span>
              </span>,
            ],
            [t("account.since"), absolute(Date.parse(account.created_at))],
            account.operator && [t("nav.account"), t("account.operator")],
            [t("account.id"), <CopyValue key="i" value={account.id} what={t("account.id")} mono />],
          ]}
        />
      </Paper>
    </Section>
  );
}

/** What the account may send, and what became of it. */
function Sending() {
  const { t } = useTranslation();
  const day = useQuery(ownLimits).data;
  const guard = useQuery(ownGuard).data;
  if (!day) return <Lines n={4} />;
  return (
    <>
      <Section title={t("limits.title")} hint={t("limits.hint")}>
        <Paper className={classes.card}>
          <DayFacts day={day} />
        </Paper>
      </Section>
      {guard && (
        <Section title={t("guard.title")} hint={t("guard.hint")}>
          <Paper className={classes.card}>
            <GuardFacts guard={guard} own />
          </Paper>
        </Section>
      )}
    </>
  );
}

function Password({ email }: { email: string }) {
  const { t } = useTranslation();
  const form = useForm({ initialValues: { current: "", fresh: "" } });
  const change = useAct({
    run: ({ current, fresh }: typeof form.values) => commands.changePassword({ current, new: fresh }),
    stale: [],
    silent: true,
    said: () => t("account.changed"),
    done: () => form.reset(),
  });
  const faults = change.error instanceof ApiError ? change.error.fields : {};
  return (
    <Section title={t("account.password")} hint={t("account.passwordHint")}>
      <Paper className={classes.card}>
        <form onSubmit={form.onSubmit((values) => change.mutate(values))}>
          {/* Password managers want to know whose password it is. */}
          <input type="text" autoComplete="username" value={email} readOnly hidden />
          <Stack gap="sm" maw={420}>
            <PasswordInput
              label={t("account.current")}
              required
              maxLength={1024}
              autoComplete="current-password"
              {...form.getInputProps("current")}
              error={faults.current}
            />
            <NewPassword
              label={t("account.fresh")}
              required
              email={email}
              error={faults.new}
              value={form.values.fresh}
              onChange={(event) => form.setFieldValue("fresh", event.currentTarget.value)}
            />
            <FormFault error={change.error} />
            <Group>
              <Button type="submit" loading={change.isPending}>
                {t("account.change")}
              </Button>
            </Group>
          </Stack>
        </form>
      </Paper>
    </Section>
  );
}
