/** The templates of the account: each by its name, and a new one. */
import { Anchor, Button, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { createTemplate, templates } from "../../api/templates";
import type { TemplateSummary } from "../../api/types";
import { useAct } from "../../parts/act";
import { agoColumn } from "../../parts/columns";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { May } from "../../parts/May";
import { Page } from "../../parts/Page";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(templates);
  const [creating, dialog] = useDisclosure();
  const columns: Column<TemplateSummary & { id: string }>[] = [
    {
      id: "name",
      header: t("templates.name"),
      cell: (row) => (
        <Link to="/templates/$name" params={{ name: row.name }} data-row>
          {row.name}
        </Link>
      ),
      text: (row) => row.name,
    },
    {
      id: "subject",
      header: t("templates.subject"),
      wide: true,
      need: 2,
      cell: (row) => <bdi>{row.subject}</bdi>,
      text: (row) => row.subject,
    },
    agoColumn({ id: "updated", header: t("templates.updated"), need: 3, at: (row) => row.updated_at }),
  ];
  return (
    <Page
      title={t("templates.title")}
      intro={
        <>
          {t("templates.intro")}{" "}
          <Anchor href="/help/templates" target="_blank" rel="noopener" underline="always">
            {t("templates.help")}
          </Anchor>
        </>
      }
      action={
        <May scope="send">
          <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
            {t("templates.create")}
          </Button>
        </May>
      }
    >
      <List
        id="templates"
        label={t("templates.title")}
        columns={columns}
        query={query}
        empty={<Empty title={t("templates.emptyTitle")} hint={t("templates.emptyHint")} />}
      />
      <Creating opened={creating} close={dialog.close} />
    </Page>
  );
}

function Creating({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const form = useForm({
    initialValues: { name: "", subject: "" },
    validate: { name: (name) => (name.trim() === "" ? t("templates.needName") : null) },
  });
  const create = useAct({
    run: (values: typeof form.values) =>
      createTemplate({ ...values, text: t("templates.firstText").replace(/\[(\w+)\]/, "{{$1}}") }),
    stale: [["templates"]],
    silent: true,
    said: (_, made) => t("templates.created", { name: made.name }),
    done: ({ name }) => void navigate({ to: "/templates/$name", params: { name } }),
  });
  const faults = create.error instanceof ApiError ? create.error.fields : {};
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("templates.create")}
      onSubmit={form.onSubmit((values) => create.mutate(values))}
      submit={t("templates.create")}
      busy={create.isPending}
      fault={create.error}
    >
      <TextInput
        label={t("templates.name")}
        description={t("templates.nameHint")}
        placeholder={t("templates.namePlaceholder")}
        required
        data-autofocus
        {...form.getInputProps("name")}
        error={form.errors.name ?? faults.name}
      />
      <TextInput label={t("templates.subject")} {...form.getInputProps("subject")} error={faults.subject} />
    </FormDialog>
  );
}
