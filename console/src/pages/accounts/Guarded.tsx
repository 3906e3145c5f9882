/** For operators: why an account is paused, and what becomes of its held mail. */
import { Button, Group, Paper } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { accountGuard, commands } from "../../api/queries";
import type { Account, Guard } from "../../api/types";
import { count } from "../../format/number";
import { useAct } from "../../parts/act";
import { confirm } from "../../parts/confirm";
import { Facts } from "../../parts/Facts";
import { Failure, Lines } from "../../parts/Feedback";
import { Section } from "../../parts/Page";
import { Ago } from "../../parts/Time";
import classes from "./Accounts.module.css";

export function Guarded({ account }: { account: Account }) {
  const { t } = useTranslation();
  const query = useQuery(accountGuard(account.id));
  return (
    <Section title={t("guard.title")} hint={t("guard.hint")}>
      <Paper className={classes.card}>
        {query.data ? (
          <>
            <GuardFacts guard={query.data} />
            {query.data.held > 0 && <Held account={account} held={query.data.held} />}
          </>
        ) : query.error ? (
          <Failure error={query.error} again={() => void query.refetch()} />
        ) : (
          <Lines n={4} />
        )}
      </Paper>
    </Section>
  );
}

/** What is counted, as the operator and the account's own people see it. */
export function GuardFacts({ guard, own }: { guard: Guard; own?: boolean }) {
  const { t } = useTranslation();
  const { pause } = guard;
  const share = (some: number) =>
    guard.recipients === 0 ? "" : ` (${((100 * some) / guard.recipients).toFixed(1)} %)`;
  return (
    <Facts
      facts={[
        pause && [
          t("guard.pausedWhy"),
          <span key="p">
            {t(`guard.${pause.cause}Reason`, {
              failed: count(pause.failed),
              of: count(pause.of),
              most: pause.most,
            })}
            , <Ago at={pause.at} />
          </span>,
        ],
        pause && !own && [t("guard.decides"), t(`guard.decides_${pause.decides}`)],
        [t("guard.recipients"), count(guard.recipients)],
        [
          t("guard.bounced"),
          `${count(guard.bounced)}${share(guard.bounced)}, ${t("guard.pausesAbove", { most: guard.most_bounced })}`,
        ],
        [t("guard.complained"), `${count(guard.complained)}, ${t("guard.complainedHint")}`],
        guard.held > 0 && [
          t("guard.held"),
          t("guard.heldRecipients", { count: guard.held, n: count(guard.held) }),
        ],
      ]}
    />
  );
}

function Held({ account, held }: { account: Account; held: number }) {
  const { t } = useTranslation();
  const giveBack = useAct({
    run: () => commands.returnHeldMail(account.id),
    stale: [["accounts"], ["messages"]],
    said: (_, { recipients }) => t("guard.returned", { n: count(recipients) }),
  });
  return (
    <Group mt="sm">
      <Button
        variant="default"
        color="red"
        loading={giveBack.isPending}
        onClick={() =>
          confirm({
            title: t("guard.returnTitle", { name: account.name }),
            text: t("guard.returnText", { n: count(held) }),
            yes: t("guard.returnYes"),
            act: () => giveBack.mutate(),
          })
        }
      >
        {t("guard.return")}
      </Button>
    </Group>
  );
}
