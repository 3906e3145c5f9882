/** API keys: create one and see it once, revoke it, see when it was used. */
import { Alert, Button, Checkbox, Group, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconKey, IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { commands, keys, session } from "../../api/queries";
import type { Key, NewKey, Scope } from "../../api/types";
import { useAct } from "../../parts/act";
import { CodeBlock } from "../../parts/Copy";
import { actColumn, agoColumn } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { Page } from "../../parts/Page";
import { StreamSelect } from "../../parts/StreamSelect";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(keys);
  const [creating, dialog] = useDisclosure();
  const [made, setMade] = useState<NewKey>();
  const columns = useColumns();
  const rows = query.data?.items;
  const create = (
    <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
      {t("keys.create")}
    </Button>
  );
  return (
    <Page title={t("keys.title")} intro={t("keys.intro")} action={rows?.length ? create : null}>
      {made && <Once made={made} done={() => setMade(undefined)} />}
      <List
        id="keys"
        label={t("keys.title")}
        columns={columns}
        query={query}
        empty={
          <Empty title={t("keys.emptyTitle")} hint={t("keys.emptyHint")}>
            {create}
          </Empty>
        }
      />
      <Creating opened={creating} close={dialog.close} made={setMade} />
    </Page>
  );
}

function useColumns(): Column<Key>[] {
  const { t } = useTranslation();
  const revoke = useAct({
    run: (key: Key) => commands.revokeKey(key.id),
    stale: [["keys"]],
    said: (key) => t("keys.revoked", { name: key.name }),
  });
  const ask = (key: Key) =>
    confirm({
      title: t("keys.revokeTitle", { name: key.name }),
      text: t("keys.revokeText"),
      yes: t("keys.revoke"),
      act: () => revoke.mutate(key),
    });
  const scopes = (row: Key) => row.scopes.map((scope) => t(`keys.scope.${scope}`)).join(", ");
  return [
    {
      id: "name",
      header: t("keys.name"),
      wide: true,
      cell: (row) => <bdi>{row.name}</bdi>,
      text: (row) => row.name,
    },
    {
      id: "key",
      header: t("keys.key"),
      need: 2,
      cell: (row) => <span className="mono">{row.prefix}…</span>,
      text: (row) => row.prefix,
    },
    {
      id: "user",
      header: t("keys.user"),
      need: 4,
      cell: (row) => <bdi>{row.user}</bdi>,
      text: (row) => row.user,
    },
    {
      id: "stream",
      header: t("keys.stream"),
      need: 4,
      cell: (row) =>
        row.stream ? (
          <span className="mono">{row.stream}</span>
        ) : (
          <span className="quiet">{t("keys.anyStream")}</span>
        ),
      text: (row) => row.stream ?? "",
    },
    { id: "scopes", header: t("keys.scopes"), need: 3, cell: scopes, text: scopes },
    agoColumn({ id: "created", header: t("keys.created"), need: 3, at: (row) => row.created_at }),
    agoColumn({ id: "used", header: t("keys.used"), at: (row) => row.used_at, never: t("keys.unused") }),
    actColumn({ id: "revoke", label: t("keys.revoke"), name: (row) => row.name, act: ask }),
  ];
}

function Once({ made, done }: { made: NewKey; done: () => void }) {
  const { t } = useTranslation();
  return (
    <Alert color="teal" variant="outline" icon={<IconKey aria-hidden />} title={t("keys.once")}>
      <Stack gap="xs">
        <Text>{t("keys.onceHint")}</Text>
        <CodeBlock text={made.key} what={made.name} />
        <Group>
          <Button size="xs" variant="default" onClick={done}>
            {t("keys.done")}
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

function Creating({
  opened,
  close,
  made,
}: {
  opened: boolean;
  close: () => void;
  made: (key: NewKey) => void;
}) {
  const { t } = useTranslation();
  // Nobody gives a key more than the own role holds.
  const held = useQuery(session).data?.login.scopes ?? [];
  const form = useForm({
    initialValues: { name: "", scopes: ["send"] as Scope[], stream: null as string | null },
    validate: {
      name: (name) => (name.trim() === "" ? t("keys.needName") : null),
      scopes: (scopes) => (scopes.length === 0 ? t("keys.needScope") : null),
    },
  });
  const create = useAct({
    run: ({ name, scopes, stream }: typeof form.values) =>
      commands.createKey({ name: name.trim(), scopes, stream }),
    stale: [["keys"]],
    silent: true,
    done: (key) => {
      made(key);
      form.reset();
      close();
    },
  });
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("keys.create")}
      onSubmit={form.onSubmit((values) => create.mutate(values))}
      submit={t("keys.create")}
      busy={create.isPending}
      fault={create.error}
    >
      <TextInput
        label={t("keys.name")}
        description={t("keys.nameHint")}
        placeholder={t("keys.namePlaceholder")}
        required
        data-autofocus
        {...form.getInputProps("name")}
      />
      <Checkbox.Group label={t("keys.scopes")} {...form.getInputProps("scopes")}>
        <Stack gap={6} mt={4}>
          {held.map((scope) => (
            <Checkbox key={scope} value={scope} label={t(`keys.scope.${scope}`)} />
          ))}
        </Stack>
      </Checkbox.Group>
      <StreamSelect
        label={t("keys.stream")}
        description={t("keys.streamHint")}
        placeholder={t("keys.anyStream")}
        {...form.getInputProps("stream")}
      />
    </FormDialog>
  );
}
