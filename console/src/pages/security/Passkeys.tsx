/** Passkeys: the devices that sign in without the password. */
import { Button, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { addPasskey, canPasskey, left, stepCommands } from "../../api/secondStep";
import type { Passkey, SecondStep } from "../../api/types";
import { useAct } from "../../parts/act";
import { actColumn, agoColumn } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import { type Column, DataTable } from "../../parts/DataTable";
import { FormDialog } from "../../parts/FormDialog";
import { Section } from "../../parts/Page";

const STALE = [["second-step"]];

export function Passkeys({ step, show }: { step: SecondStep; show: (codes: string[]) => void }) {
  const { t } = useTranslation();
  const [adding, dialog] = useDisclosure();
  const columns = useColumns();
  const possible = step.no_passkeys === null && canPasskey();
  return (
    <Section
      title={t("security.passkeys")}
      hint={t("security.passkeysHint")}
      action={
        possible && (
          <Button variant="default" onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
            {t("security.passkeyAdd")}
          </Button>
        )
      }
    >
      {!possible && (
        <Text c="dimmed">
          {step.no_passkeys
            ? t("security.noPasskeys", { why: step.no_passkeys })
            : t("security.passkeyBrowser")}
        </Text>
      )}
      {step.passkeys.length > 0 ? (
        <DataTable
          id="passkeys"
          label={t("security.passkeys")}
          columns={columns}
          rows={step.passkeys}
          rowKey={(row) => row.id}
        />
      ) : (
        possible && <Text c="dimmed">{t("security.passkeysNone")}</Text>
      )}
      <Adding opened={adding} close={dialog.close} show={show} />
    </Section>
  );
}

function useColumns(): Column<Passkey>[] {
  const { t } = useTranslation();
  const remove = useAct({
    run: (key: Passkey) => stepCommands.removePasskey(key.id),
    stale: STALE,
    said: (key) => t("security.passkeyRemoved", { name: key.name }),
  });
  const ask = (key: Passkey) =>
    confirm({
      title: t("security.passkeyRemoveTitle", { name: key.name }),
      text: t("security.passkeyRemoveText"),
      yes: t("common.remove"),
      act: () => remove.mutate(key),
    });
  return [
    {
      id: "name",
      header: t("security.name"),
      wide: true,
      cell: (row) => <bdi>{row.name}</bdi>,
      text: (row) => row.name,
    },
    agoColumn({ id: "created", header: t("security.added"), need: 2, at: (row) => row.created_at }),
    agoColumn({ id: "used", header: t("security.used"), at: (row) => row.used_at, never: t("common.never") }),
    actColumn({ id: "remove", label: t("common.remove"), name: (row) => row.name, act: ask }),
  ];
}

function Adding({
  opened,
  close,
  show,
}: {
  opened: boolean;
  close: () => void;
  show: (codes: string[]) => void;
}) {
  const { t } = useTranslation();
  const form = useForm({ initialValues: { name: "" } });
  const add = useAct({
    run: ({ name }: typeof form.values) => addPasskey(name.trim()),
    stale: STALE,
    silent: true,
    said: ({ name }) => t("security.passkeyAdded", { name }),
    done: ({ recovery_codes }) => {
      form.reset();
      close();
      show(recovery_codes);
    },
  });
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("security.passkeyAdd")}
      onSubmit={form.onSubmit((values) => add.mutate(values))}
      submit={t("security.passkeyGo")}
      busy={add.isPending}
      fault={left(add.error) ? new Error(t("security.passkeyLeft")) : add.error}
    >
      <TextInput
        label={t("security.name")}
        description={t("security.nameHint")}
        required
        maxLength={100}
        data-autofocus
        {...form.getInputProps("name")}
      />
    </FormDialog>
  );
}
