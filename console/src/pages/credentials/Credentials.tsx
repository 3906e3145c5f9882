/** Named SMTP credentials: make one and see its password once, see when it was used, change and revoke it; and the switch
 * that keeps login passwords off SMTP. */
import { Button, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { commands, smtpCredentials } from "../../api/queries";
import type { NewSmtpCredential, SmtpCredential } from "../../api/types";
import { count } from "../../format/number";
import { absolute } from "../../format/time";
import { useAct } from "../../parts/act";
import { RowAct, RowActs } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { List } from "../../parts/List";
import { Page } from "../../parts/Page";
import { Ago } from "../../parts/Time";
import { Changing } from "./Changing";
import { Creating } from "./Creating";
import { Once } from "./Once";
import { Passwords } from "./Passwords";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(smtpCredentials);
  const [creating, dialog] = useDisclosure();
  const [made, setMade] = useState<NewSmtpCredential>();
  const columns = useColumns();
  const rows = query.data?.items;
  const create = (
    <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
      {t("credentials.create")}
    </Button>
  );
  return (
    <Page title={t("credentials.title")} intro={t("credentials.intro")} action={rows?.length ? create : null}>
      {made && <Once made={made} done={() => setMade(undefined)} />}
      <List
        id="smtp-credentials"
        label={t("credentials.title")}
        columns={columns}
        query={query}
        empty={
          <Empty title={t("credentials.emptyTitle")} hint={t("credentials.emptyHint")}>
            {create}
          </Empty>
        }
      />
      <Passwords live={rows?.filter((row) => !row.sandbox) ?? []} />
      <Creating opened={creating} close={dialog.close} made={setMade} />
    </Page>
  );
}

/** What it is bound to, in words. */
function useBounds() {
  const { t } = useTranslation();
  return (row: SmtpCredential): string[] => [
    ...row.networks,
    ...(row.stream ? [t("credentials.onlyStream", { stream: row.stream })] : []),
    ...(row.rate ? [t("credentials.perHour", { count: row.rate, n: count(row.rate) })] : []),
    ...(row.expires_at ? [t("credentials.until", { time: absolute(Date.parse(row.expires_at)) })] : []),
  ];
}

function useColumns(): Column<SmtpCredential>[] {
  const { t } = useTranslation();
  const bounds = useBounds();
  const revoke = useAct({
    run: (one: SmtpCredential) => commands.revokeSmtpCredential(one.id),
    stale: [["smtp-credentials"]],
    said: (one) => t("credentials.revoked", { name: one.name }),
  });
  const ask = (one: SmtpCredential) =>
    confirm({
      title: t("credentials.revokeTitle", { name: one.name }),
      text: t("credentials.revokeText", { username: one.username }),
      yes: t("credentials.revoke"),
      act: () => revoke.mutate(one),
    });
  return [
    {
      id: "name",
      header: t("credentials.name"),
      wide: true,
      cell: (row) => (
        <>
          <bdi>{row.name}</bdi>
          {row.sandbox && (
            <Text size="xs">
              <Link to="/inbox">{t("credentials.test")}</Link>
            </Text>
          )}
        </>
      ),
      text: (row) => row.name,
    },
    {
      id: "username",
      header: t("credentials.username"),
      need: 3,
      cell: (row) => <bdi>{row.username}</bdi>,
      text: (row) => row.username,
    },
    {
      id: "password",
      header: t("credentials.password"),
      need: 3,
      cell: (row) => <span className="mono">{row.prefix}…</span>,
      text: (row) => row.prefix,
    },
    {
      id: "bounds",
      header: t("credentials.bounds"),
      need: 2,
      cell: (row) => bounds(row).join(", ") || <span className="quiet">{t("credentials.unbound")}</span>,
      text: (row) => bounds(row).join(" "),
    },
    {
      id: "used",
      header: t("credentials.used"),
      numeric: true,
      cell: (row) =>
        row.used_at ? (
          <span title={row.used_from ? t("credentials.usedFrom", { ip: row.used_from }) : undefined}>
            <Ago at={row.used_at} />
          </span>
        ) : (
          <span className="quiet">{t("credentials.unused")}</span>
        ),
      text: (row) => row.used_at ?? "",
    },
    {
      id: "from",
      header: t("credentials.from"),
      need: 4,
      cell: (row) => <span className="mono">{row.used_from ?? ""}</span>,
      text: (row) => row.used_from ?? "",
    },
    {
      id: "acts",
      header: t("common.actions"),
      numeric: true,
      cell: (row) => (
        <RowActs>
          <Changing one={row} />
          <RowAct label={t("credentials.revoke")} name={row.name} act={() => ask(row)} />
        </RowActs>
      ),
    },
  ];
}
