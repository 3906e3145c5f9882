/** One thing that needs the reader, with the button that leads to it. */
import { Button, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { count } from "../../format/number";
import { day, span } from "../../format/time";
import { laneName } from "../../parts/lane";
import { State } from "../../parts/State";
import type { Need } from "./needs";
import classes from "./Overview.module.css";

function Row({
  what,
  hint,
  act,
  mark,
}: {
  what: ReactNode;
  hint: ReactNode;
  act?: ReactNode;
  mark?: ReactNode;
}) {
  return (
    <li>
      <div className={classes.need}>
        <Text fw={500}>
          {what}
          {mark && <> {mark}</>}
        </Text>
        <Text c="dimmed">{hint}</Text>
      </div>
      {act}
    </li>
  );
}

const button = { variant: "default", size: "xs" } as const;

export function NeedRow({ need }: { need: Need }) {
  const { t } = useTranslation();
  switch (need.kind) {
    case "suspended":
      return (
        <Row
          what={t(need.state === "paused" ? "overview.accountPaused" : "overview.suspended")}
          mark={<State state={need.state} />}
          hint={need.reason ?? t("frame.suspendedNoReason")}
        />
      );
    case "credits":
      return (
        <Row
          what={
            need.left === 0
              ? t("overview.creditsGone")
              : t("overview.creditsLow", { n: count(need.left), mark: count(need.mark) })
          }
          hint={need.left === 0 ? t("overview.creditsGoneHint") : t("overview.creditsLowHint")}
          act={
            <Button component={Link} to="/account/credits" {...button}>
              {t("overview.creditsAct")}
            </Button>
          }
        />
      );
    case "domain":
      return (
        <Row
          what={t("overview.domain", { name: need.domain.name })}
          hint={t("overview.domainHint")}
          act={
            <Button component={Link} to={`/domains/${need.domain.id}`} {...button}>
              {t("overview.domainAct")}
            </Button>
          }
        />
      );
    case "paused":
      return (
        <Row
          what={t("overview.paused", { lane: laneName(need.lane.lane) })}
          hint={t("overview.pausedHint", { count: need.lane.waiting, n: count(need.lane.waiting) })}
          act={
            <Button component={Link} to="/queue" {...button}>
              {t("overview.pausedAct")}
            </Button>
          }
        />
      );
    case "lane":
      return (
        <Row
          what={t("overview.lane", { lane: laneName(need.lane.lane) })}
          hint={t("overview.laneHint", {
            time: span(need.waited),
            reply: need.lane.last_reply ?? t("common.none"),
          })}
          act={
            <Button component={Link} to="/queue" {...button}>
              {t("overview.pausedAct")}
            </Button>
          }
        />
      );
    case "certificate":
      return (
        <Row
          what={t("overview.certificate", { day: day(need.until) })}
          hint={t("overview.certificateHint")}
          act={
            <Button component={Link} to="/smtp" {...button}>
              {t("overview.certificateAct")}
            </Button>
          }
        />
      );
  }
}
