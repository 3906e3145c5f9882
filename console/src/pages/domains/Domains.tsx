/** The sending domains of the account. */
import { Button, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands, domains } from "../../api/queries";
import type { Domain } from "../../api/types";
import { count } from "../../format/number";
import { useAct } from "../../parts/act";
import { agoColumn } from "../../parts/columns";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { May } from "../../parts/May";
import { Page } from "../../parts/Page";
import { State } from "../../parts/State";
import { Senders } from "./Senders";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(domains);
  const [adding, dialog] = useDisclosure();
  const add = (
    <May scope="domains">
      <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
        {t("domains.add")}
      </Button>
    </May>
  );
  const rows = query.data?.items;
  const columns = useColumns();
  return (
    <Page title={t("domains.title")} intro={t("domains.intro")} action={rows?.length ? add : null}>
      <List
        id="domains"
        label={t("domains.title")}
        columns={columns}
        query={query}
        empty={
          <Empty title={t("domains.emptyTitle")} hint={t("domains.emptyHint")}>
            {add}
          </Empty>
        }
      />
      <Senders />
      <Adding opened={adding} close={dialog.close} />
    </Page>
  );
}

function useColumns(): Column<Domain>[] {
  const { t } = useTranslation();
  const found = (row: Domain) => {
    const wanted = row.records.filter((record) => record.stage !== "leaving");
    return t("domains.recordsOk", {
      ok: count(wanted.filter((record) => record.ok).length),
      n: count(wanted.length),
    });
  };
  return [
    {
      id: "name",
      header: t("domains.name"),
      wide: true,
      cell: (row) => (
        <Link to="/domains/$id" params={{ id: row.id }} data-row>
          <bdi>{row.name}</bdi>
        </Link>
      ),
      text: (row) => row.name,
    },
    {
      id: "state",
      header: t("domains.state"),
      cell: (row) => <State state={row.state} />,
      text: (row) => row.state,
    },
    {
      id: "records",
      header: t("domains.records"),
      need: 2,
      cell: (row) => (row.checked_at ? found(row) : ""),
      text: found,
    },
    agoColumn({
      id: "checked",
      header: t("domains.checked"),
      need: 2,
      at: (row) => row.checked_at,
      never: t("domains.notChecked"),
    }),
    agoColumn({ id: "added", header: t("domains.added"), need: 3, at: (row) => row.created_at }),
  ];
}

function Adding({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const add = useAct({
    run: () => commands.addDomain(name.trim()),
    stale: [["domains"]],
    silent: true,
    done: (domain) => {
      close();
      setName("");
      void navigate({ to: "/domains/$id", params: { id: domain.id } });
    },
  });
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("domains.addTitle")}
      onSubmit={(event) => {
        event.preventDefault();
        add.mutate();
      }}
      submit={t("domains.addSubmit")}
      busy={add.isPending}
      fault={add.error}
    >
      <Text c="dimmed">{t("domains.addHint")}</Text>
      <TextInput
        label={t("domains.name")}
        placeholder={t("domains.namePlaceholder")}
        required
        data-autofocus
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={add.error instanceof ApiError ? add.error.fields.name : undefined}
      />
    </FormDialog>
  );
}
