/** For operators: mail on its way out, lane by lane; pause, resume, retry. */
import { ActionIcon, Menu } from "@mantine/core";
import { IconDots, IconPlayerPause, IconPlayerPlay, IconRefresh } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { commands, queue } from "../../api/queries";
import type { Lane, Queue } from "../../api/types";
import { count, rate } from "../../format/number";
import { useAct } from "../../parts/act";
import { agoColumn } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import { type Column, DataTable } from "../../parts/DataTable";
import { Empty, Failure } from "../../parts/Feedback";
import { laneName } from "../../parts/lane";
import { Page } from "../../parts/Page";
import { State } from "../../parts/State";
import { Ago } from "../../parts/Time";
import classes from "./Queue.module.css";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(queue);
  const columns = useColumns();
  const lanes = query.data?.lanes;
  return (
    <Page title={t("queue.title")} intro={`${t("queue.intro")} ${t("queue.updated")}.`}>
      {query.error && !lanes ? (
        <Failure error={query.error} again={() => void query.refetch()} />
      ) : (
        <>
          <Totals queue={query.data} />
          {lanes?.length === 0 ? (
            <Empty title={t("queue.emptyTitle")} hint={t("queue.emptyHint")} />
          ) : (
            <DataTable
              id="queue"
              label={t("queue.lanes")}
              columns={columns}
              rows={lanes}
              rowKey={(lane) => lane.lane}
            />
          )}
        </>
      )}
    </Page>
  );
}

function Totals({ queue }: { queue: Queue | undefined }) {
  const { t } = useTranslation();
  const totals = [
    [t("queue.waiting"), queue?.waiting],
    [t("queue.deferred"), queue?.deferred],
    [t("queue.inFlight"), queue?.in_flight],
  ] as const;
  return (
    <dl className={classes.totals}>
      {totals.map(([name, n]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{n === undefined ? "…" : count(n)}</dd>
        </div>
      ))}
    </dl>
  );
}

function useColumns(): Column<Lane>[] {
  const { t } = useTranslation();
  const domains = ({ domains: all }: Lane) =>
    all.length > 2
      ? `${all.slice(0, 2).join(", ")} ${t("queue.moreDomains", { n: count(all.length - 2) })}`
      : all.join(", ");
  return [
    {
      id: "lane",
      header: t("queue.lane"),
      wide: true,
      cell: (lane) => (
        <>
          <bdi className={classes.lane} title={lane.lane}>
            {laneName(lane.lane)}
          </bdi>
          {domains(lane) !== lane.lane && <span className={classes.domains}>{domains(lane)}</span>}
        </>
      ),
      text: (lane) => lane.lane,
    },
    {
      id: "state",
      header: t("queue.state"),
      cell: (lane) => <State state={lane.paused ? "paused" : "running"} plain />,
      text: (lane) => (lane.paused ? "paused" : "running"),
    },
    {
      id: "waiting",
      header: t("queue.waiting"),
      numeric: true,
      cell: (lane) => count(lane.waiting),
      text: (lane) => lane.waiting,
    },
    agoColumn({ id: "oldest", header: t("queue.oldest"), need: 2, at: (lane) => lane.oldest_at }),
    {
      id: "rate",
      header: t("queue.rate"),
      need: 3,
      numeric: true,
      cell: (lane) => rate(lane.rate_per_minute),
      text: (lane) => lane.rate_per_minute,
    },
    {
      id: "connections",
      header: t("queue.connections"),
      need: 4,
      numeric: true,
      cell: (lane) => count(lane.connections),
      text: (lane) => lane.connections,
    },
    agoColumn({ id: "next", header: t("queue.next"), need: 3, at: (lane) => lane.next_try_at }),
    {
      id: "reply",
      header: t("queue.lastReply"),
      need: 3,
      wide: true,
      cell: (lane) =>
        lane.last_reply && (
          <span title={lane.last_reply}>
            {lane.last_reply_at && (
              <>
                <Ago at={lane.last_reply_at} />{" "}
              </>
            )}
            <span className="mono">{lane.last_reply}</span>
          </span>
        ),
      text: (lane) => lane.last_reply ?? "",
    },
    { id: "acts", header: t("common.actions"), numeric: true, cell: (lane) => <Acts lane={lane} /> },
  ];
}

function Acts({ lane }: { lane: Lane }) {
  const { t } = useTranslation();
  const name = lane.lane;
  const stale = [["queue"]];
  const pause = useAct({
    run: () => commands.pauseLane(name),
    stale,
    said: () => t("queue.paused", { lane: laneName(name) }),
  });
  const resume = useAct({
    run: () => commands.resumeLane(name),
    stale,
    said: () => t("queue.resumed", { lane: laneName(name) }),
  });
  const retry = useAct({
    run: () => commands.retryLane(name),
    stale: [...stale, ["messages"]],
    said: () => t("queue.retried", { lane: laneName(name) }),
  });
  const ask = () =>
    confirm({
      title: t("queue.pauseTitle", { lane: laneName(name) }),
      text: t("queue.pauseText", { count: lane.waiting, n: count(lane.waiting) }),
      yes: t("queue.pause"),
      danger: false,
      act: () => pause.mutate(),
    });
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          loading={pause.isPending || resume.isPending || retry.isPending}
          aria-label={t("queue.actionsFor", { lane: laneName(name) })}
        >
          <IconDots size={16} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {lane.paused ? (
          <Menu.Item leftSection={<IconPlayerPlay size={15} aria-hidden />} onClick={() => resume.mutate()}>
            {t("queue.resume")}
          </Menu.Item>
        ) : (
          <Menu.Item leftSection={<IconPlayerPause size={15} aria-hidden />} onClick={ask}>
            {t("queue.pause")}
          </Menu.Item>
        )}
        <Menu.Item leftSection={<IconRefresh size={15} aria-hidden />} onClick={() => retry.mutate()}>
          {t("queue.retry")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
