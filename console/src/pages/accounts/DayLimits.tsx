/** For operators: how many recipients an account may write to a day. */
import { Button, Group, NumberInput, Paper, Radio, Stack } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { accountLimits, commands } from "../../api/queries";
import type { DayLimits } from "../../api/types";
import { count } from "../../format/number";
import { absolute } from "../../format/time";
import { useAct } from "../../parts/act";
import { Facts } from "../../parts/Facts";
import { Failure, FormFault, Lines } from "../../parts/Feedback";
import { Section } from "../../parts/Page";
import classes from "./Accounts.module.css";

export function DayLimitsOf({ account }: { account: string }) {
  const { t } = useTranslation();
  const query = useQuery(accountLimits(account));
  return (
    <Section title={t("limits.title")} hint={t("limits.hint")}>
      <Paper className={classes.card}>
        {query.data ? (
          <Stack gap="md">
            <DayFacts day={query.data} />
            <Setting key={JSON.stringify(query.data.own)} account={account} day={query.data} />
          </Stack>
        ) : query.error ? (
          <Failure error={query.error} again={() => void query.refetch()} />
        ) : (
          <Lines n={4} />
        )}
      </Paper>
    </Section>
  );
}

/** What is used of the day, as the operator and the account's own people see it. */
export function DayFacts({ day }: { day: DayLimits }) {
  const { t } = useTranslation();
  const used = (some: number, most: number | null) =>
    most === null ? t("limits.none") : t("limits.used", { used: count(some), most: count(most) });
  const limited = day.recipients !== null || day.first_time !== null;
  return (
    <Facts
      facts={[
        [t("limits.recipients"), used(day.recipients_used, day.recipients)],
        [t("limits.firstTime"), used(day.first_time_used, day.first_time)],
        limited && [t("limits.opens"), absolute(Date.parse(day.opens_at))],
      ]}
    />
  );
}

type Kind = "configured" | "none" | "number";

const kindOf = (own: number | null): Kind => (own === null ? "configured" : own === 0 ? "none" : "number");

function Setting({ account, day }: { account: string; day: DayLimits }) {
  const { t } = useTranslation();
  const form = useForm({
    initialValues: {
      recipientsKind: kindOf(day.own.recipients),
      recipients: day.own.recipients || ("" as number | string),
      firstTimeKind: kindOf(day.own.first_time),
      firstTime: day.own.first_time || ("" as number | string),
    },
    validate: {
      recipients: (most, { recipientsKind }) => fault(recipientsKind, most),
      firstTime: (most, { firstTimeKind }) => fault(firstTimeKind, most),
    },
  });
  function fault(kind: Kind, most: number | string) {
    return kind === "number" && !(typeof most === "number" && most > 0) ? t("oneAccount.needAmount") : null;
  }
  const given = (kind: Kind, most: number | string) =>
    kind === "configured" ? null : kind === "none" ? 0 : Number(most);
  const set = useAct({
    run: (values: typeof form.values) =>
      commands.limitAccount(account, {
        recipients: given(values.recipientsKind, values.recipients),
        first_time: given(values.firstTimeKind, values.firstTime),
      }),
    stale: [["accounts"]],
    silent: true,
    said: () => t("limits.saved"),
  });
  return (
    <form onSubmit={form.onSubmit((values) => set.mutate(values))}>
      <Stack gap="md">
        {(["recipients", "firstTime"] as const).map((which) => (
          <Radio.Group
            key={which}
            label={t(`limits.${which}`)}
            {...form.getInputProps(`${which}Kind`)}
            error={undefined}
          >
            <Group gap="md" mt={6} align="center">
              <Radio value="configured" label={t("limits.configured")} />
              <Radio value="none" label={t("limits.none")} />
              <Radio value="number" label={t("limits.own")} />
              {form.values[`${which}Kind`] === "number" && (
                <NumberInput
                  aria-label={t(`limits.${which}`)}
                  w={140}
                  min={1}
                  max={4_000_000_000}
                  allowDecimal={false}
                  thousandSeparator=","
                  {...form.getInputProps(which)}
                />
              )}
            </Group>
          </Radio.Group>
        ))}
        <FormFault error={set.error} />
        <Group>
          <Button type="submit" variant="default" loading={set.isPending} disabled={!form.isDirty()}>
            {t("limits.save")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
