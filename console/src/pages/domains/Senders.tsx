/** Single sender addresses, for whoever has no domain to verify. */
import { Button, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands, senders } from "../../api/queries";
import type { SenderAddress } from "../../api/types";
import { useAct } from "../../parts/act";
import { actColumn, agoColumn } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { May } from "../../parts/May";
import { Section } from "../../parts/Page";

export function Senders() {
  const { t } = useTranslation();
  const query = useQuery(senders);
  const [adding, dialog] = useDisclosure();
  const columns = useColumns();
  return (
    <Section
      title={t("senders.title")}
      hint={t("senders.hint")}
      action={
        <May scope="domains">
          <Button variant="default" onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
            {t("senders.add")}
          </Button>
        </May>
      }
    >
      <List
        id="senders"
        label={t("senders.title")}
        columns={columns}
        query={query}
        empty={<Empty title={t("senders.emptyTitle")} hint={t("senders.emptyHint")} />}
      />
      <Asking opened={adding} close={dialog.close} />
    </Section>
  );
}

function useColumns(): Column<SenderAddress>[] {
  const { t } = useTranslation();
  const remove = useAct({
    run: (row: SenderAddress) => commands.removeSender(row.id),
    stale: [["senders"], ["settings"]],
    said: (row) => t("senders.removed", { address: row.address }),
  });
  return [
    {
      id: "address",
      header: t("senders.address"),
      wide: true,
      cell: (row) => <bdi>{row.address}</bdi>,
      text: (row) => row.address,
    },
    agoColumn({
      id: "confirmed",
      header: t("senders.confirmed"),
      at: (row) => row.confirmed_at,
      never: t("senders.waiting"),
    }),
    agoColumn({ id: "asked", header: t("senders.asked"), need: 3, at: (row) => row.asked_at }),
    actColumn({
      id: "remove",
      label: t("common.remove"),
      name: (row) => row.address,
      act: (row) =>
        confirm({
          title: t("senders.removeTitle", { address: row.address }),
          text: t("senders.removeText"),
          yes: t("common.remove"),
          act: () => remove.mutate(row),
        }),
    }),
  ];
}

function Asking({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const [address, setAddress] = useState("");
  const ask = useAct({
    run: () => commands.askForSender(address.trim()),
    stale: [["senders"]],
    silent: true,
    done: () => {
      close();
      setAddress("");
    },
  });
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("senders.add")}
      onSubmit={(event) => {
        event.preventDefault();
        ask.mutate();
      }}
      submit={t("senders.submit")}
      busy={ask.isPending}
      fault={ask.error}
    >
      <Text c="dimmed">{t("senders.addHint")}</Text>
      <TextInput
        label={t("senders.address")}
        type="email"
        required
        data-autofocus
        value={address}
        onChange={(event) => setAddress(event.currentTarget.value)}
        error={ask.error instanceof ApiError ? ask.error.fields.address : undefined}
      />
    </FormDialog>
  );
}
