/** What is left, what it means, and where it went. */
import { Paper, Progress, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ledger } from "../../api/credits";
import { account } from "../../api/queries";
import type { Account } from "../../api/types";
import { count } from "../../format/number";
import { Empty, Lines } from "../../parts/Feedback";
import { Page, Section } from "../../parts/Page";
import { usePaging } from "../../parts/paging";
import classes from "./Credits.module.css";
import { Ledger } from "./Ledger";
import { low } from "./low";
import { Redeem } from "./Redeem";

const route = getRouteApi("/frame/account/credits");

export function Component() {
  const { t } = useTranslation();
  const { after } = route.useSearch();
  const navigate = route.useNavigate();
  const own = useQuery(account);
  const query = useQuery(ledger(after));
  const paging = usePaging(query.data?.next, after, (to, options) =>
    navigate({ search: to ? { after: to } : {}, ...options }),
  );
  return (
    <Page title={t("credits.title")} intro={t("credits.intro")}>
      {own.data ? <Balance account={own.data} /> : own.error ? null : <Lines n={3} />}
      {typeof own.data?.credits === "number" && <Redeem />}
      <Section title={t("credits.list")} hint={t("credits.listHint")}>
        <Ledger
          query={query}
          paging={paging}
          empty={<Empty title={t("credits.emptyTitle")} hint={t("credits.emptyHint")} />}
        />
      </Section>
    </Page>
  );
}

const COLOURS = { fifth: "yellow", twentieth: "red", nothing: "red" } as const;

function Balance({ account }: { account: Account }) {
  const { t } = useTranslation();
  const { credits, credit_mark } = account;
  const few = low(account);
  if (typeof credits !== "number") {
    return (
      <Section title={t("credits.balance")}>
        <Paper className={classes.card}>{t("credits.unlimited")}</Paper>
      </Section>
    );
  }
  const percent = credit_mark > 0 ? Math.min(100, Math.round((100 * credits) / credit_mark)) : 0;
  return (
    <Section title={t("credits.balance")}>
      <Paper className={classes.card}>
        <Text span className={classes.left}>
          {t("credits.left", { count: credits, n: count(credits) })}
        </Text>{" "}
        <Text span c="dimmed">
          {t("credits.mark", { n: count(credit_mark) })}
        </Text>
        <Progress
          value={percent}
          color={few ? COLOURS[few] : "teal"}
          className={classes.bar ?? ""}
          aria-label={t("credits.bar", { percent })}
        />
        <Text>{few === "nothing" ? t("credits.gone") : t("credits.mailed")}</Text>
      </Paper>
    </Section>
  );
}
