/** The streams that the account's mail is sorted into: make one, change what its mail wants, archive it and take it up again. */
import { Button, Group, Radio, Stack, Switch, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands, session, streams } from "../../api/queries";
import type { CreateStream, Stream } from "../../api/types";
import { useAct } from "../../parts/act";
import { agoColumn, RowAct } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { May } from "../../parts/May";
import { Page } from "../../parts/Page";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(streams);
  const [creating, dialog] = useDisclosure();
  const [changing, change] = useState<Stream>();
  const columns = useColumns(change);
  return (
    <Page
      title={t("streams.title")}
      intro={t("streams.intro")}
      action={
        <May scope="account">
          <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
            {t("streams.create")}
          </Button>
        </May>
      }
    >
      <List id="streams" label={t("streams.title")} columns={columns} query={query} />
      <Creating opened={creating} close={dialog.close} />
      {changing && <Changing key={changing.slug} stream={changing} close={() => change(undefined)} />}
    </Page>
  );
}

function useColumns(change: (stream: Stream) => void): Column<Stream & { id: string }>[] {
  const { t } = useTranslation();
  const mayChange = useQuery(session).data?.login.scopes.includes("account") === true;
  const archive = useAct({
    run: (stream: Stream) => commands.changeStream(stream.slug, { archived: !stream.archived_at }),
    stale: [["streams"]],
    said: (stream) => t(stream.archived_at ? "streams.archived" : "streams.restored", { name: stream.name }),
  });
  const ask = (stream: Stream) =>
    stream.archived_at
      ? archive.mutate(stream)
      : confirm({
          title: t("streams.archiveTitle", { name: stream.name }),
          text: t("streams.archiveText", { slug: stream.slug }),
          yes: t("streams.archive"),
          act: () => archive.mutate(stream),
        });
  const acts: Column<Stream & { id: string }> = {
    id: "acts",
    header: t("common.actions"),
    numeric: true,
    cell: (row) => (
      <Group gap="xs" wrap="nowrap" justify="flex-end">
        <RowAct label={t("streams.change")} name={row.name} act={() => change(row)} />
        {!row.built_in && (
          <RowAct
            label={t(row.archived_at ? "streams.restore" : "streams.archive")}
            name={row.name}
            act={() => ask(row)}
          />
        )}
      </Group>
    ),
  };
  return [
    {
      id: "name",
      header: t("streams.name"),
      wide: true,
      cell: (row) => (
        <Link to="/messages" search={{ stream: row.slug }} data-row>
          <bdi>{row.name}</bdi>
        </Link>
      ),
      text: (row) => row.name,
    },
    {
      id: "slug",
      header: t("streams.slug"),
      need: 2,
      cell: (row) => <span className="mono">{row.slug}</span>,
      text: (row) => row.slug,
    },
    {
      id: "kind",
      header: t("streams.kind"),
      need: 3,
      cell: (row) => t(`streams.kinds.${row.kind}`),
      text: (row) => row.kind,
    },
    {
      id: "wants",
      header: t("streams.wants"),
      need: 2,
      cell: (row) =>
        wants(row)
          .map((one) => t(`streams.wanted.${one}`))
          .join(", ") || t("streams.nothing"),
      text: (row) => wants(row).join(" "),
    },
    agoColumn({
      id: "archived",
      header: t("streams.archivedAt"),
      need: 3,
      at: (row) => row.archived_at,
      never: t("streams.inUse"),
    }),
    ...(mayChange ? [acts] : []),
  ];
}

const WANTS = ["unsubscribe", "track_opens", "track_clicks"] as const;

function wants(stream: Stream) {
  return WANTS.filter((one) => stream[one]);
}

function Creating({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const form = useForm<CreateStream>({
    initialValues: { name: "", slug: "", kind: "transactional" },
    validate: { name: (name) => (name.trim() === "" ? t("streams.needName") : null) },
  });
  const create = useAct({
    run: (values: CreateStream) => commands.createStream(values),
    stale: [["streams"]],
    said: (_, made) => t("streams.created", { name: made.name }),
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
      title={t("streams.create")}
      onSubmit={form.onSubmit((values) => create.mutate(values))}
      submit={t("streams.create")}
      busy={create.isPending}
      fault={create.error}
    >
      <TextInput
        label={t("streams.name")}
        placeholder={t("streams.namePlaceholder")}
        required
        data-autofocus
        {...form.getInputProps("name")}
        error={form.errors.name ?? faults.name}
      />
      <TextInput
        label={t("streams.slug")}
        description={t("streams.slugHint")}
        placeholder={t("streams.slugPlaceholder")}
        required
        {...form.getInputProps("slug")}
        error={faults.slug}
      />
      <Radio.Group label={t("streams.kind")} {...form.getInputProps("kind")}>
        <Stack gap={6} mt={4}>
          <Radio
            value="transactional"
            label={t("streams.kinds.transactional")}
            description={t("streams.transactionalHint")}
          />
          <Radio
            value="marketing"
            label={t("streams.kinds.marketing")}
            description={t("streams.marketingHint")}
          />
        </Stack>
      </Radio.Group>
    </FormDialog>
  );
}

function Changing({ stream, close }: { stream: Stream; close: () => void }) {
  const { t } = useTranslation();
  const { name, unsubscribe, track_opens, track_clicks } = stream;
  const form = useForm({
    initialValues: { name, unsubscribe, track_opens, track_clicks },
    validate: { name: (name) => (name.trim() === "" ? t("streams.needName") : null) },
  });
  const change = useAct({
    run: (values: typeof form.values) => commands.changeStream(stream.slug, values),
    stale: [["streams"]],
    said: ({ name }) => t("streams.changed", { name }),
    done: close,
  });
  const hint = {
    unsubscribe: t(stream.kind === "marketing" ? "streams.hint.marketingLink" : "streams.hint.unsubscribe"),
    track_opens: t("streams.hint.track_opens"),
    track_clicks: t("streams.hint.track_clicks"),
  };
  return (
    <FormDialog
      opened
      close={close}
      title={t("streams.changeTitle", { name: stream.name })}
      onSubmit={form.onSubmit((values) => change.mutate(values))}
      submit={t("streams.save")}
      busy={change.isPending}
      fault={change.error}
    >
      <TextInput label={t("streams.name")} required data-autofocus {...form.getInputProps("name")} />
      {WANTS.map((one) => (
        <Switch
          key={one}
          label={t(`streams.wanted.${one}`)}
          description={hint[one]}
          {...form.getInputProps(one, { type: "checkbox" })}
        />
      ))}
    </FormDialog>
  );
}
