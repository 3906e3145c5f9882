/** The event hooks of the account, or the operator's: in the order in which they are asked, and how they did today. */
import { Anchor, Button, Group, SegmentedControl } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { changeHook, hooks } from "../../api/hooks";
import { session } from "../../api/queries";
import type { Hook } from "../../api/types";
import { count } from "../../format/number";
import { useAct } from "../../parts/act";
import { agoColumn, RowAct } from "../../parts/columns";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { List } from "../../parts/List";
import { May } from "../../parts/May";
import { Page } from "../../parts/Page";
import { State } from "../../parts/State";
import { i18next } from "../../words";

const route = getRouteApi("/frame/hooks");

export function Component() {
  const { t } = useTranslation();
  const everybody = route.useSearch().everybody === true;
  const query = useQuery(hooks(everybody));
  const operates = useQuery(session).data?.login.scopes.includes("operator") === true;
  const navigate = useNavigate();
  const columns = useColumns(everybody);
  const rows = query.data?.items;
  const search = everybody ? { everybody: true as const } : {};
  const create = (
    <May scope={everybody ? "operator" : "account"}>
      <Group gap="xs">
        <Button
          variant="default"
          onClick={() => void navigate({ to: "/hooks/new", search: { ...search, kind: "http" } })}
        >
          {t("hooks.createHttp")}
        </Button>
        <Button
          variant="default"
          onClick={() => void navigate({ to: "/hooks/new", search: { ...search, kind: "rule" } })}
        >
          {t("hooks.createRule")}
        </Button>
        <Button
          onClick={() => void navigate({ to: "/hooks/new", search })}
          leftSection={<IconPlus size={15} aria-hidden />}
        >
          {t("hooks.create")}
        </Button>
      </Group>
    </May>
  );
  const intro = (
    <>
      {t(everybody ? "hooks.introAll" : "hooks.intro")}{" "}
      <Anchor href="/help/hooks" underline="always">
        {t("hooks.help")}
      </Anchor>
    </>
  );
  return (
    <Page title={t("hooks.title")} intro={intro} action={rows?.length ? create : null}>
      {operates && (
        <SegmentedControl
          aria-label={t("hooks.whose")}
          style={{ alignSelf: "start" }}
          value={everybody ? "all" : "account"}
          onChange={(value) =>
            void navigate({ to: "/hooks", search: value === "all" ? { everybody: true } : {} })
          }
          data={[
            { value: "account", label: t("hooks.ofAccount") },
            { value: "all", label: t("hooks.ofAll") },
          ]}
        />
      )}
      <List
        id="hooks"
        label={t("hooks.title")}
        columns={columns}
        query={query}
        empty={
          <Empty title={t("hooks.emptyTitle")} hint={t("hooks.emptyHint")}>
            {create}
          </Empty>
        }
      />
    </Page>
  );
}

function useColumns(everybody: boolean): Column<Hook>[] {
  const { t } = useTranslation();
  const scopes = useQuery(session).data?.login.scopes;
  const mayChange = scopes?.includes(everybody ? "operator" : "account") === true;
  const rows = useQuery(hooks(everybody)).data?.items ?? [];
  const move = useAct({
    run: (row: Hook) => changeHook(row.id, everybody, { position: rows.indexOf(row) - 1 }),
    stale: [["hooks"]],
  });
  const stages = (row: Hook) => row.stages.map((one) => stageName(one)).join(", ");
  const today = (row: Hook) => {
    const runs = row.today?.runs ?? 0;
    return t("hooks.runs", { count: runs, n: count(runs) });
  };
  const failed = (row: Hook) => row.today?.failed ?? 0;
  const acts: Column<Hook> = {
    id: "acts",
    header: t("common.actions"),
    numeric: true,
    cell: (row) =>
      rows.indexOf(row) > 0 && (
        <RowAct label={t("hooks.up")} name={row.name} act={() => move.mutate(row)} busy={move.isPending} />
      ),
  };
  return [
    {
      id: "name",
      header: t("hooks.name"),
      wide: true,
      cell: (row) => (
        <Link to="/hooks/$id" params={{ id: row.id }} search={everybody ? { everybody: true } : {}} data-row>
          <bdi>{row.name}</bdi>
        </Link>
      ),
      text: (row) => row.name,
    },
    {
      id: "kind",
      header: t("hooks.kind"),
      need: 3,
      cell: (row) => t(`hooks.kinds.${row.kind}`),
      text: (row) => row.kind,
    },
    { id: "stages", header: t("hooks.asked"), need: 2, cell: stages, text: stages },
    {
      id: "today",
      header: t("hooks.today"),
      need: 2,
      cell: (row) => today(row),
      text: (row) => row.today?.runs ?? 0,
    },
    {
      id: "state",
      header: t("hooks.state"),
      cell: (row) => {
        if (!row.enabled) return <State state="paused" />;
        return failed(row) > 0 ? <State state="failing" n={failed(row)} /> : <State state="active" />;
      },
      text: (row) => (row.enabled ? "active" : "paused"),
    },
    agoColumn({ id: "changed", header: t("hooks.changedAt"), need: 4, at: (row) => row.changed_at }),
    ...(mayChange && rows.length > 1 ? [acts] : []),
  ];
}

/** What a stage is called. */
export function stageName(stage: string): string {
  return stage === "mail" || stage === "rcpt"
    ? i18next.t(`hooks.stages.${stage}`)
    : i18next.t("hooks.stages.message");
}
