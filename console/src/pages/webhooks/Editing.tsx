/** The form that makes a webhook, or changes one. */
import { MultiSelect, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import type { NewWebhook, Webhook } from "../../api/types";
import { changeWebhook, createWebhook } from "../../api/webhooks";
import { useAct } from "../../parts/act";
import { FormDialog } from "../../parts/FormDialog";
import { KINDS } from "./words";

interface Wanted {
  url: string;
  description: string;
  types: string[];
}

interface Props {
  opened: boolean;
  close: () => void;
  /** The one to change; without it one is made. */
  webhook?: Webhook;
  made?: (webhook: NewWebhook) => void;
}

export function Editing({ opened, close, webhook, made }: Props) {
  const { t } = useTranslation();
  const form = useForm<Wanted>({
    initialValues: {
      url: webhook?.url ?? "",
      description: webhook?.description ?? "",
      types: webhook?.types ?? [],
    },
    validate: { url: (url) => (url.trim() === "" ? t("webhooks.needUrl") : null) },
  });
  const write = useAct({
    run: async (wanted: Wanted): Promise<NewWebhook | undefined> => {
      if (!webhook) return createWebhook(wanted);
      await changeWebhook(webhook.id, wanted);
      return undefined;
    },
    stale: [["webhooks"]],
    silent: true,
    done: (written) => {
      if (written) {
        made?.(written);
        form.reset();
      }
      close();
    },
  });
  const faults = write.error instanceof ApiError ? write.error.fields : {};
  const title = webhook ? t("webhooks.change") : t("webhooks.create");
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={title}
      onSubmit={form.onSubmit((values) => write.mutate(values))}
      submit={title}
      busy={write.isPending}
      fault={write.error}
    >
      <TextInput
        label={t("webhooks.url")}
        description={t("webhooks.urlHint")}
        placeholder="https://example.com/posthouse"
        required
        maxLength={2_048}
        data-autofocus
        {...form.getInputProps("url")}
        error={form.errors.url ?? faults.url}
      />
      <TextInput
        label={t("webhooks.description")}
        description={t("webhooks.descriptionHint")}
        placeholder={t("webhooks.descriptionPlaceholder")}
        maxLength={200}
        {...form.getInputProps("description")}
        error={faults.description}
      />
      <MultiSelect
        label={t("webhooks.types")}
        description={t("webhooks.typesHint")}
        placeholder={form.values.types.length === 0 ? t("webhooks.typesPlaceholder") : ""}
        data={KINDS.map((kind) => ({ value: kind, label: t(`webhooks.kinds.${kind}`) }))}
        clearable
        {...form.getInputProps("types")}
        error={faults.types}
      />
    </FormDialog>
  );
}
