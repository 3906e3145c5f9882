/** Whom the account is not to write to: who bounced, complained or unsubscribed, and whom its people put here. */
import { Button, Group, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus, IconUpload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { EXPORT, suppress, suppressions, unsuppress } from "../../api/suppressions";
import type { Suppression } from "../../api/types";
import { useAct } from "../../parts/act";
import { agoColumn, RowAct } from "../../parts/columns";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { ListFilters } from "../../parts/ListFilters";
import { May } from "../../parts/May";
import { Page } from "../../parts/Page";
import { usePaging } from "../../parts/paging";
import { Sheet } from "../../parts/Sheet";
import { Importing } from "./Importing";
import { isReason, REASONS } from "./reasons";

const route = getRouteApi("/frame/suppressions");

export function Component() {
  const { t } = useTranslation();
  const { q, reason, after } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(suppressions({ q, reason, after }));
  const [adding, add] = useDisclosure();
  const [importing, bring] = useDisclosure();
  const [leaving, leave] = useState<Suppression>();
  const columns = useColumns(leave);
  const filter = (q: string | undefined, reason: string | undefined, replace = false) =>
    void navigate({ search: { ...(q && { q }), ...(isReason(reason) && { reason }) }, replace });
  const paging = usePaging(query.data?.next, after, (to, options) =>
    navigate({
      search: { ...(q && { q }), ...(reason && { reason }), ...(to && { after: to }) },
      ...options,
    }),
  );
  const filtered = Boolean(q || reason);
  const acts = (
    <Group gap="xs">
      <Sheet href={EXPORT} says={t("suppressions.export")} />
      <May scope="account">
        <Button variant="default" onClick={bring.open} leftSection={<IconUpload size={15} aria-hidden />}>
          {t("suppressions.import")}
        </Button>
        <Button onClick={add.open} leftSection={<IconPlus size={15} aria-hidden />}>
          {t("suppressions.add")}
        </Button>
      </May>
    </Group>
  );
  return (
    <Page title={t("suppressions.title")} intro={t("suppressions.intro")} action={acts}>
      <ListFilters
        label={t("suppressions.search")}
        placeholder={t("suppressions.searchPlaceholder")}
        q={q}
        onSearch={(next) => filter(next, reason, true)}
        choice={{
          label: t("suppressions.reason"),
          any: t("suppressions.anyReason"),
          value: reason,
          options: REASONS.map((one) => ({ value: one, label: t(`suppressions.reasons.${one}`) })),
          onChange: (next) => filter(q, next),
        }}
        onClear={filtered ? () => filter(undefined, undefined) : undefined}
      />
      <List
        id="suppressions"
        label={t("suppressions.title")}
        columns={columns}
        query={query}
        paging={paging}
        empty={
          <Empty
            title={filtered ? t("table.nothingMatches") : t("suppressions.emptyTitle")}
            hint={filtered ? t("suppressions.nothingMatchesHint") : t("suppressions.emptyHint")}
          />
        }
      />
      <Adding opened={adding} close={add.close} />
      <Importing opened={importing} close={bring.close} />
      <Leaving entry={leaving} close={() => leave(undefined)} />
    </Page>
  );
}

function useColumns(leave: (row: Suppression) => void): Column<Suppression>[] {
  const { t } = useTranslation();
  return [
    {
      id: "address",
      header: t("suppressions.address"),
      wide: true,
      cell: (row) => (
        <>
          <bdi>{row.address}</bdi>
          {row.note && (
            <Text size="xs" c="dimmed" style={{ whiteSpace: "normal" }}>
              <bdi>{row.note}</bdi>
            </Text>
          )}
        </>
      ),
      text: (row) => row.address,
    },
    {
      id: "reason",
      header: t("suppressions.reason"),
      cell: (row) =>
        row.message ? (
          <Link to="/messages/$id" params={{ id: row.message }}>
            {t(`suppressions.reasons.${row.reason}`)}
          </Link>
        ) : (
          t(`suppressions.reasons.${row.reason}`)
        ),
      text: (row) => t(`suppressions.reasons.${row.reason}`),
    },
    {
      id: "stream",
      header: t("suppressions.stream"),
      need: 2,
      cell: (row) => row.stream ?? <span className="quiet">{t("suppressions.everyStream")}</span>,
      text: (row) => row.stream ?? "",
    },
    agoColumn({ id: "since", header: t("suppressions.since"), need: 2, at: (row) => row.created_at }),
    {
      id: "remove",
      header: t("common.actions"),
      numeric: true,
      cell: (row) => (
        <May scope="account">
          <RowAct label={t("suppressions.remove")} name={row.address} act={() => leave(row)} />
        </May>
      ),
    },
  ];
}

function Adding({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const form = useForm({
    initialValues: { address: "", stream: "", note: "" },
    validate: { address: (address) => (address.trim() === "" ? t("suppressions.needAddress") : null) },
  });
  const add = useAct({
    run: ({ address, stream, note }: typeof form.values) =>
      suppress({
        address: address.trim(),
        note: note.trim(),
        ...(stream.trim() && { stream: stream.trim() }),
      }),
    stale: [["suppressions"]],
    said: (_, one) => t("suppressions.added", { address: one.address }),
    silent: true,
    done: () => {
      form.reset();
      close();
    },
  });
  const faults = add.error instanceof ApiError ? add.error.fields : {};
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("suppressions.add")}
      onSubmit={form.onSubmit((values) => add.mutate(values))}
      submit={t("suppressions.add")}
      busy={add.isPending}
      fault={add.error}
    >
      <TextInput
        label={t("suppressions.address")}
        type="email"
        withAsterisk
        data-autofocus
        {...form.getInputProps("address")}
        error={form.errors.address ?? faults.address}
      />
      <TextInput
        label={t("suppressions.stream")}
        description={t("suppressions.streamHint")}
        maxLength={40}
        {...form.getInputProps("stream")}
        error={faults.stream}
      />
      <TextInput
        label={t("suppressions.note")}
        description={t("suppressions.noteHint")}
        maxLength={200}
        {...form.getInputProps("note")}
        error={faults.note}
      />
    </FormDialog>
  );
}

/** Taking an address back: why, because whoever asked for silence will ask. */
function Leaving({ entry, close }: { entry: Suppression | undefined; close: () => void }) {
  const { t } = useTranslation();
  const form = useForm({
    initialValues: { note: "" },
    validate: { note: (note) => (note.trim() === "" ? t("suppressions.needNote") : null) },
  });
  const remove = useAct({
    run: (note: string) => unsuppress(entry?.id ?? "", note),
    stale: [["suppressions"]],
    said: () => t("suppressions.removed", { address: entry?.address ?? "" }),
    silent: true,
    done: () => {
      form.reset();
      close();
    },
  });
  const faults = remove.error instanceof ApiError ? remove.error.fields : {};
  return (
    <FormDialog
      opened={entry !== undefined}
      close={close}
      title={t("suppressions.removeTitle", { address: entry?.address ?? "" })}
      onSubmit={form.onSubmit(({ note }) => remove.mutate(note.trim()))}
      submit={t("suppressions.remove")}
      busy={remove.isPending}
      fault={remove.error}
      danger
    >
      <Text>{entry && t(`suppressions.removeText.${entry.reason}`)}</Text>
      <TextInput
        label={t("suppressions.why")}
        description={t("suppressions.whyHint")}
        withAsterisk
        maxLength={200}
        data-autofocus
        {...form.getInputProps("note")}
        error={form.errors.note ?? faults.note}
      />
    </FormDialog>
  );
}
