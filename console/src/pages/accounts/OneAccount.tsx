/** For operators: one account, its credits, and whether it may send. */
import { Button, Checkbox, Group, NumberInput, Paper, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { accountAttempts, accountDetails, commands, oneAccount } from "../../api/queries";
import type { Account } from "../../api/types";
import { count } from "../../format/number";
import { absolute } from "../../format/time";
import { useAct } from "../../parts/act";
import { CopyValue } from "../../parts/Copy";
import { Facts } from "../../parts/Facts";
import { Failure, FormFault, Lines } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { Page, Section } from "../../parts/Page";
import { State } from "../../parts/State";
import { Ago } from "../../parts/Time";
import { LedgerOf } from "../credits/LedgerOf";
import classes from "./Accounts.module.css";
import { DayLimitsOf } from "./DayLimits";
import { Guarded } from "./Guarded";
import { SeeAs } from "./SeeAs";

const route = getRouteApi("/frame/accounts/$id");

export function Component() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const query = useQuery(oneAccount(id));
  const back = { to: "/accounts", label: t("nav.accounts") } as const;
  if (!query.data) {
    return (
      <Page title={t("nav.accounts")} back={back}>
        {query.error ? <Failure error={query.error} again={() => void query.refetch()} /> : <Lines n={8} />}
      </Page>
    );
  }
  return <Loaded account={query.data} back={back} />;
}

function Loaded({ account, back }: { account: Account; back: { to: "/accounts"; label: string } }) {
  const { t } = useTranslation();
  const [suspending, dialog] = useDisclosure();
  const details = useQuery(accountDetails(account.id)).data;
  const active = account.state === "active";
  const resume = useAct({
    run: () => commands.resumeAccount(account.id),
    stale: [["accounts"], ["session"], ["messages"]],
    said: () => t("oneAccount.resumed", { name: account.name }),
  });
  return (
    <Page
      title={account.name}
      back={back}
      narrow
      intro={
        <>
          <State state={account.state} />{" "}
          {account.state_reason && t("oneAccount.why", { reason: account.state_reason })}
        </>
      }
      action={
        <Group gap="xs">
          {!account.operator && <SeeAs account={account} />}
          {!active ? (
            <Button loading={resume.isPending} onClick={() => resume.mutate()}>
              {t("oneAccount.resume")}
            </Button>
          ) : (
            <Button variant="default" onClick={dialog.open}>
              {t("oneAccount.suspend")}
            </Button>
          )}
        </Group>
      }
    >
      <Section title={t("oneAccount.details")}>
        <Paper className={classes.card}>
          <Facts
            facts={[
              [
                t("accounts.credits"),
                account.credits === null || account.credits === undefined
                  ? t("accounts.unlimited")
                  : count(account.credits),
              ],
              [t("accounts.operator"), account.operator ? t("common.yes") : t("common.no")],
              account.sandbox && [t("oneAccount.sandbox"), t("oneAccount.sandboxHint")],
              [t("accounts.created"), absolute(Date.parse(account.created_at))],
              details && [t("oneAccount.logins"), count(details.logins)],
              details && [
                t("oneAccount.lastMessage"),
                details.last_message_at ? (
                  <Ago key="m" at={details.last_message_at} />
                ) : (
                  <span key="m" className="quiet">
                    {t("oneAccount.noMessage")}
                  </span>
                ),
              ],
              details && [t("nav.domains"), <Domains key="d" domains={details.domains} />],
              [t("account.id"), <CopyValue key="id" value={account.id} what={t("account.id")} mono />],
            ]}
          />
        </Paper>
      </Section>
      <Guarded account={account} />
      <DayLimitsOf account={account.id} />
      {account.credits !== null && <Grant account={account} />}
      {account.credits !== null && <LedgerOf id={account.id} />}
      <Attempts id={account.id} />
      <Suspending account={account} opened={suspending} close={dialog.close} />
    </Page>
  );
}

function Domains({ domains }: { domains: { name: string; verified: boolean }[] }) {
  const { t } = useTranslation();
  if (domains.length === 0) return <span className="quiet">{t("oneAccount.noDomain")}</span>;
  return (
    <Stack gap={4}>
      {domains.map(({ name, verified }) => (
        <span key={name}>
          <bdi>{name}</bdi> <State state={verified ? "verified" : "pending"} />
        </span>
      ))}
    </Stack>
  );
}

/** The latest attempts to sign in: what brings a person to ask the operator. */
function Attempts({ id }: { id: string }) {
  const { t } = useTranslation();
  const attempts = useQuery(accountAttempts(id)).data?.items;
  if (!attempts?.length) return null;
  return (
    <Section title={t("oneAccount.attempts")}>
      <Paper className={classes.card}>
        <Facts
          facts={attempts.map((attempt) => [
            `${absolute(Date.parse(attempt.last_at))}`,
            <span key={attempt.id}>
              <bdi>{attempt.login}</bdi>, {attempt.ip}:{" "}
              {t(`attempts.reasons.${attempt.reason}`, {
                until: attempt.until ? absolute(Date.parse(attempt.until)) : "",
              })}
              {attempt.count > 1 && ` (${count(attempt.count)})`}
            </span>,
          ])}
        />
      </Paper>
    </Section>
  );
}

function Grant({ account }: { account: Account }) {
  const { t } = useTranslation();
  const form = useForm({
    initialValues: { amount: "" as number | string, reason: "" },
    validate: {
      amount: (amount) => (typeof amount === "number" && amount !== 0 ? null : t("oneAccount.needAmount")),
      reason: (reason) => (reason.trim() === "" ? t("oneAccount.needReason") : null),
    },
  });
  const grant = useAct({
    run: ({ amount, reason }: typeof form.values) =>
      commands.grantCredits(account.id, { amount: Number(amount), reason: reason.trim() }),
    stale: [["accounts"], ["session"], ["account"]],
    silent: true,
    said: ({ amount }) => t("oneAccount.granted", { n: count(Number(amount)) }),
    done: () => form.reset(),
  });
  return (
    <Section title={t("oneAccount.grant")}>
      <Paper className={classes.card}>
        <form onSubmit={form.onSubmit((values) => grant.mutate(values))} className={classes.grant}>
          <NumberInput
            label={t("oneAccount.amount")}
            description={t("oneAccount.amountHint")}
            allowDecimal={false}
            thousandSeparator=","
            withAsterisk
            {...form.getInputProps("amount")}
          />
          <TextInput
            label={t("oneAccount.reason")}
            description={t("oneAccount.reasonPlaceholder")}
            withAsterisk
            {...form.getInputProps("reason")}
          />
          <FormFault error={grant.error} />
          <Group>
            <Button type="submit" variant="default" loading={grant.isPending}>
              {t("oneAccount.grant")}
            </Button>
          </Group>
        </form>
      </Paper>
    </Section>
  );
}

function Suspending({ account, opened, close }: { account: Account; opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const form = useForm({
    initialValues: { reason: "", hold: false },
    validate: { reason: (reason) => (reason.trim() === "" ? t("oneAccount.needReason") : null) },
  });
  const suspend = useAct({
    run: ({ reason, hold }: typeof form.values) =>
      commands.suspendAccount(account.id, { reason: reason.trim(), hold }),
    stale: [["accounts"], ["session"]],
    silent: true,
    said: () => t("oneAccount.suspended", { name: account.name }),
    done: () => {
      form.reset();
      close();
    },
  });
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("oneAccount.suspendTitle", { name: account.name })}
      onSubmit={form.onSubmit((values) => suspend.mutate(values))}
      submit={t("oneAccount.suspendYes")}
      busy={suspend.isPending}
      fault={suspend.error}
      danger
    >
      <Text>{t("oneAccount.suspendText")}</Text>
      <TextInput
        label={t("oneAccount.reason")}
        withAsterisk
        data-autofocus
        {...form.getInputProps("reason")}
      />
      <Checkbox
        label={t("oneAccount.hold")}
        description={t("oneAccount.holdHint")}
        {...form.getInputProps("hold", { type: "checkbox" })}
      />
    </FormDialog>
  );
}
