/** For operators: short notices on top of everybody's console, and on the site where they are public. */
import { Button, Checkbox, Select, Text, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { announcements, createAnnouncement, removeAnnouncement } from "../../api/announcements";
import { ApiError } from "../../api/client";
import type { Announcement } from "../../api/types";
import { absolute } from "../../format/time";
import { useAct } from "../../parts/act";
import { actColumn } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { useNow } from "../../parts/now";
import { Page } from "../../parts/Page";

const SEVERITIES = ["info", "warning", "problem"] as const;

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(announcements);
  const [creating, dialog] = useDisclosure();
  const columns = useColumns();
  const rows = query.data?.items;
  const create = (
    <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
      {t("announcements.create")}
    </Button>
  );
  return (
    <Page
      title={t("announcements.title")}
      intro={t("announcements.intro")}
      action={rows?.length ? create : null}
    >
      <List
        id="announcements"
        label={t("announcements.title")}
        columns={columns}
        query={query}
        empty={
          <Empty title={t("announcements.emptyTitle")} hint={t("announcements.emptyHint")}>
            {create}
          </Empty>
        }
      />
      <Creating opened={creating} close={dialog.close} />
    </Page>
  );
}

function useColumns(): Column<Announcement>[] {
  const { t } = useTranslation();
  const now = useNow(60_000);
  const remove = useAct({
    run: (row: Announcement) => removeAnnouncement(row.id),
    stale: [["announcements"]],
    said: () => t("announcements.removed"),
  });
  const ask = (row: Announcement) =>
    confirm({
      title: t("announcements.removeTitle"),
      text: t("announcements.removeText"),
      yes: t("common.remove"),
      act: () => remove.mutate(row),
    });
  const to = (row: Announcement) =>
    row.account_name ?? t(row.public ? "announcements.toAllAndSite" : "announcements.toAll");
  const runs = (row: Announcement) => {
    if (Date.parse(row.from) > now) return t("announcements.comes");
    return row.until && Date.parse(row.until) <= now ? t("announcements.over") : t("announcements.runs");
  };
  return [
    {
      id: "text",
      header: t("announcements.text"),
      wide: true,
      cell: (row) => (
        <>
          <span dir="auto" style={{ whiteSpace: "normal" }}>
            {row.text}
          </span>
          <Text size="xs" c="dimmed">
            {t(`announcements.severities.${row.severity}`)}
          </Text>
        </>
      ),
      text: (row) => row.text,
    },
    { id: "to", header: t("announcements.to"), need: 2, cell: (row) => <bdi>{to(row)}</bdi>, text: to },
    { id: "state", header: t("announcements.state"), cell: runs, text: runs },
    {
      id: "from",
      header: t("announcements.from"),
      need: 3,
      numeric: true,
      cell: (row) => <Moment at={row.from} />,
      text: (row) => row.from,
    },
    {
      id: "until",
      header: t("announcements.until"),
      need: 3,
      numeric: true,
      cell: (row) => (row.until ? <Moment at={row.until} /> : t("announcements.open")),
      text: (row) => row.until ?? "",
    },
    actColumn({ id: "remove", label: t("common.remove"), name: (row) => row.text, act: ask }),
  ];
}

function Moment({ at }: { at: string }) {
  return <time dateTime={at}>{absolute(Date.parse(at))}</time>;
}

/** What a field for local time holds, as a moment; nothing where it is empty. */
const moment = (local: string) => (local ? new Date(local).toISOString() : undefined);

function Creating({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const form = useForm({
    initialValues: {
      text: "",
      severity: "info" as Announcement["severity"],
      from: "",
      until: "",
      account_email: "",
      public: false,
    },
    validate: { text: (text) => (text.trim() === "" ? t("announcements.needText") : null) },
  });
  const create = useAct({
    run: ({ text, severity, from, until, account_email, ...rest }: typeof form.values) => {
      const [begins, ends] = [moment(from), moment(until)];
      return createAnnouncement({
        // A line that was broken while typing is one line.
        text: text.replace(/\s+/g, " ").trim(),
        severity,
        public: rest.public,
        ...(begins && { from: begins }),
        ...(ends && { until: ends }),
        ...(account_email && { account_email }),
      });
    },
    stale: [["announcements"]],
    silent: true,
    done: () => {
      form.reset();
      close();
    },
  });
  const faults = create.error instanceof ApiError ? create.error.fields : {};
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("announcements.create")}
      onSubmit={form.onSubmit((values) => create.mutate(values))}
      submit={t("announcements.submit")}
      busy={create.isPending}
      fault={create.error}
    >
      <Textarea
        label={t("announcements.text")}
        description={t("announcements.textHint")}
        withAsterisk
        autosize
        minRows={3}
        maxLength={500}
        data-autofocus
        {...form.getInputProps("text")}
        error={form.errors.text ?? faults.text}
      />
      <Select
        label={t("announcements.severity")}
        allowDeselect={false}
        data={SEVERITIES.map((value) => ({ value, label: t(`announcements.severities.${value}`) }))}
        {...form.getInputProps("severity")}
      />
      <TextInput
        type="datetime-local"
        label={t("announcements.from")}
        description={t("announcements.fromHint")}
        {...form.getInputProps("from")}
        error={faults.from}
      />
      <TextInput
        type="datetime-local"
        label={t("announcements.until")}
        description={t("announcements.untilHint")}
        {...form.getInputProps("until")}
        error={faults.until}
      />
      <TextInput
        type="email"
        label={t("announcements.account")}
        description={t("announcements.accountHint")}
        {...form.getInputProps("account_email")}
        error={faults.account_email}
      />
      <Checkbox
        label={t("announcements.public")}
        description={t("announcements.publicHint")}
        {...form.getInputProps("public", { type: "checkbox" })}
        error={faults.public}
      />
    </FormDialog>
  );
}
