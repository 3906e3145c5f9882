/** The columns that many tables have: how long ago something was, and what can be done with a row. */
import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { i18next } from "../words";
import classes from "./columns.module.css";
import type { Column } from "./DataTable";
import { Ago } from "./Time";

type Placed<Row> = Pick<Column<Row>, "id" | "header" | "need" | "sort">;

/** How long ago a moment of the row was; `never` is said where it has not come. */
export function agoColumn<Row>({
  at,
  never,
  ...column
}: Placed<Row> & { at: (row: Row) => string | null | undefined; never?: string }): Column<Row> {
  const cell = (row: Row) => {
    const moment = at(row);
    return moment ? <Ago at={moment} /> : never && <span className="quiet">{never}</span>;
  };
  return { ...column, numeric: true, cell, text: (row) => at(row) ?? "" };
}

interface Act<Row> {
  id: string;
  label: string;
  /** What the row is called, for whoever hears the button without its row. */
  name: (row: Row) => string;
  act: (row: Row) => void;
  busy?: (row: Row) => boolean;
  /** Said in a row where there is nothing to do. */
  instead?: (row: Row) => string | null;
}

/** The last column: the one act that each row has. */
export function actColumn<Row>({ id, label, name, act, busy, instead }: Act<Row>): Column<Row> {
  const cell = (row: Row) => {
    const said = instead?.(row);
    if (said) return <span className="quiet">{said}</span>;
    return <RowAct label={label} name={name(row)} act={() => act(row)} busy={busy?.(row)} />;
  };
  return { id, header: i18next.t("common.actions"), numeric: true, cell };
}

/** The buttons of a row that has several acts. */
export function RowActs({ children }: { children: ReactNode }) {
  return <div className={classes.acts}>{children}</div>;
}

/** The button of one act in a row. */
export function RowAct(props: { label: string; name: string; act: () => void; busy?: boolean }) {
  const { label, name, act, busy } = props;
  return (
    <Button size="compact-xs" variant="default" loading={busy} onClick={act} aria-label={`${label}: ${name}`}>
      {label}
    </Button>
  );
}
