/**
 * The one table of the console. The server sorts, filters and pages; this draws a page of rows, opens a row's
 * page by its first link, hides what does not fit, and lets columns be chosen and the rows be saved as CSV.
 */
import { ActionIcon, Button, Menu, Skeleton, Text } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";
import { IconArrowDown, IconArrowUp, IconChevronLeft, IconChevronRight, IconDots } from "@tabler/icons-react";
import type { CSSProperties, ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { csv, save } from "../format/csv";
import { count } from "../format/number";
import classes from "./DataTable.module.css";

export interface Column<Row> {
  id: string;
  header: string;
  cell: (row: Row) => ReactNode;
  /** The value for CSV; without it the column is not saved. */
  text?: (row: Row) => string | number;
  /** 1 always fits, 2 from 560 px of table width, 3 from 800 px, 4 from 1020 px. */
  need?: 1 | 2 | 3 | 4;
  numeric?: boolean;
  /** Shares what width is left; the others are as wide as their content. */
  wide?: boolean;
  /** Not shown until chosen. */
  hidden?: boolean;
  sort?: { order: "ascending" | "descending" | "none"; toggle: () => void };
}

export interface Paging {
  hasNext: boolean;
  hasPrevious: boolean;
  onFirst: () => void;
  onPrevious: () => void;
  onNext: () => void;
}

interface Props<Row> {
  /** Names the table for screen readers, the CSV file and the remembered columns. */
  id: string;
  label: string;
  columns: Column<Row>[];
  rows: Row[] | undefined;
  rowKey: (row: Row) => string;
  paging?: Paging;
  /** Shown between filters and rows, such as "3 new". */
  notice?: ReactNode;
  /** Older rows of the same question are shown while the next ones come. */
  busy?: boolean;
}

export function DataTable<Row>(props: Props<Row>) {
  const { id, label, columns, rows, rowKey, paging, notice, busy } = props;
  const { t } = useTranslation();
  const [chosen, choose] = useLocalStorage<Record<string, boolean>>({
    key: `posthouse-columns-${id}`,
    defaultValue: {},
    getInitialValueInEffect: false,
  });
  const shown = columns.filter((column) => chosen[column.id] ?? !column.hidden);
  const wides = shown.filter((column) => column.wide).length;
  return (
    <div className={classes.outer}>
      <div className={classes.bar}>
        <Text c="dimmed" size="xs" aria-live="polite">
          {rows ? t("table.rows", { count: rows.length, n: count(rows.length) }) : t("common.loading")}
        </Text>
        {notice}
        <div className={classes.spring} />
        <Options columns={columns} rows={rows} id={id} chosen={chosen} choose={choose} />
      </div>
      <div className={classes.frame}>
        <table
          className={classes.table}
          aria-label={label}
          aria-busy={busy || !rows}
          style={{ "--wide": `${90 / Math.max(1, wides)}%` } as CSSProperties}
        >
          <thead>
            <tr>
              {shown.map((column) => (
                <Head key={column.id} column={column} />
              ))}
            </tr>
          </thead>
          <tbody data-busy={busy || undefined}>
            {rows
              ? rows.map((row) => (
                  <tr key={rowKey(row)}>
                    {shown.map((column) => (
                      <td key={column.id} {...place(column)}>
                        {column.cell(row)}
                      </td>
                    ))}
                  </tr>
                ))
              : ["a", "b", "c", "d", "e", "f"].map((key) => (
                  <tr key={key}>
                    {shown.map((column) => (
                      <td key={column.id} {...place(column)}>
                        <Skeleton height={18} width={column.wide ? "70%" : 64} />
                      </td>
                    ))}
                  </tr>
                ))}
          </tbody>
        </table>
      </div>
      {paging && (paging.hasNext || paging.hasPrevious) && <Pager paging={paging} />}
    </div>
  );
}

function place<Row>(column: Column<Row>) {
  return {
    "data-need": column.need ?? 1,
    "data-numeric": column.numeric || undefined,
    "data-wide": column.wide || undefined,
  };
}

function Head<Row>({ column }: { column: Column<Row> }) {
  const { t } = useTranslation();
  const { sort } = column;
  if (!sort) {
    return (
      <th scope="col" {...place(column)}>
        {column.header}
      </th>
    );
  }
  const Arrow = sort.order === "descending" ? IconArrowDown : IconArrowUp;
  return (
    <th scope="col" aria-sort={sort.order} {...place(column)}>
      <button
        type="button"
        className={classes.sort}
        onClick={sort.toggle}
        title={t("table.sortBy", { column: column.header })}
      >
        {column.header}
        {sort.order !== "none" && <Arrow size={13} aria-hidden />}
      </button>
    </th>
  );
}

function Options<Row>(props: {
  id: string;
  columns: Column<Row>[];
  rows: Row[] | undefined;
  chosen: Record<string, boolean>;
  choose: (value: Record<string, boolean>) => void;
}) {
  const { id, columns, rows, chosen, choose } = props;
  const { t } = useTranslation();
  const saveRows = () => {
    const kept = columns.flatMap(({ header, text }) => (text ? [{ header, text }] : []));
    const head = kept.map(({ header }) => header);
    save(`${id}.csv`, csv([head, ...(rows ?? []).map((row) => kept.map(({ text }) => String(text(row))))]));
  };
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={28} aria-label={t("table.more")}>
          <IconDots size={16} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t("table.columns")}</Menu.Label>
        {columns.slice(1).map((column) => {
          const on = chosen[column.id] ?? !column.hidden;
          return (
            <Menu.CheckboxItem
              key={column.id}
              checked={on}
              onChange={() => choose({ ...chosen, [column.id]: !on })}
            >
              {column.header}
            </Menu.CheckboxItem>
          );
        })}
        <Menu.Divider />
        <Menu.Item disabled={!rows?.length} onClick={saveRows}>
          {t("table.csv")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Pager({ paging }: { paging: Paging }) {
  const { t } = useTranslation();
  return (
    <nav className={classes.pager} aria-label={t("table.paging")}>
      <Button variant="subtle" color="gray" size="xs" disabled={!paging.hasPrevious} onClick={paging.onFirst}>
        {t("table.firstPage")}
      </Button>
      <Button
        variant="default"
        size="xs"
        disabled={!paging.hasPrevious}
        onClick={paging.onPrevious}
        leftSection={<IconChevronLeft size={14} aria-hidden />}
      >
        {t("table.previous")}
      </Button>
      <Button
        variant="default"
        size="xs"
        disabled={!paging.hasNext}
        onClick={paging.onNext}
        rightSection={<IconChevronRight size={14} aria-hidden />}
      >
        {t("table.next")}
      </Button>
    </nav>
  );
}
