/** For operators: networks that may send for an account without a password. */
import { Button, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands, credentials } from "../../api/queries";
import type { Credential } from "../../api/types";
import { useAct } from "../../parts/act";
import { actColumn, agoColumn } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { Page } from "../../parts/Page";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(credentials);
  const [adding, dialog] = useDisclosure();
  const columns = useColumns();
  const rows = query.data?.items;
  const add = (
    <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
      {t("ranges.add")}
    </Button>
  );
  return (
    <Page title={t("ranges.title")} intro={t("ranges.intro")} action={rows?.length ? add : null}>
      <List
        id="ranges"
        label={t("ranges.list")}
        columns={columns}
        query={query}
        empty={
          <Empty title={t("ranges.emptyTitle")} hint={t("ranges.emptyHint")}>
            {add}
          </Empty>
        }
      />
      <Adding opened={adding} close={dialog.close} />
    </Page>
  );
}

function useColumns(): Column<Credential>[] {
  const { t } = useTranslation();
  const revoke = useAct({
    run: (row: Credential) => commands.revokeCredential(row.id),
    stale: [["credentials"]],
    said: (row) => t("ranges.revoked", { range: row.range }),
  });
  const ask = (row: Credential) =>
    confirm({
      title: t("ranges.revokeTitle", { range: row.range }),
      text: t("ranges.revokeText"),
      yes: t("ranges.revoke"),
      act: () => revoke.mutate(row),
    });
  return [
    {
      id: "range",
      header: t("ranges.range"),
      cell: (row) => <span className="mono">{row.range}</span>,
      text: (row) => row.range,
    },
    {
      id: "name",
      header: t("ranges.name"),
      need: 2,
      wide: true,
      cell: (row) => <bdi>{row.name}</bdi>,
      text: (row) => row.name,
    },
    {
      id: "account",
      header: t("ranges.account"),
      need: 2,
      wide: true,
      cell: (row) => <bdi>{row.account_email}</bdi>,
      text: (row) => row.account_email,
    },
    agoColumn({
      id: "used",
      header: t("ranges.used"),
      need: 3,
      at: (row) => row.used_at,
      never: t("common.never"),
    }),
    agoColumn({ id: "created", header: t("ranges.created"), need: 3, at: (row) => row.created_at }),
    actColumn({ id: "revoke", label: t("ranges.revoke"), name: (row) => row.range, act: ask }),
  ];
}

function Adding({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const form = useForm({ initialValues: { account_email: "", range: "", name: "" } });
  const add = useAct({
    run: (values: typeof form.values) => commands.createCredential(values),
    stale: [["credentials"]],
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
      title={t("ranges.add")}
      onSubmit={form.onSubmit((values) => add.mutate(values))}
      submit={t("common.add")}
      busy={add.isPending}
      fault={add.error}
    >
      <TextInput
        label={t("ranges.range")}
        placeholder={t("ranges.rangePlaceholder")}
        required
        data-autofocus
        {...form.getInputProps("range")}
        error={faults.range}
      />
      <TextInput
        label={t("ranges.account")}
        description={t("ranges.accountHint")}
        type="email"
        required
        {...form.getInputProps("account_email")}
        error={faults.account_email}
      />
      <TextInput
        label={t("ranges.name")}
        placeholder={t("ranges.namePlaceholder")}
        required
        {...form.getInputProps("name")}
        error={faults.name}
      />
    </FormDialog>
  );
}
