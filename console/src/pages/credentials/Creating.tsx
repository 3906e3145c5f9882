/** The form that makes a credential. */
import { Checkbox, NumberInput, Textarea, TextInput } from "@mantine/core";
import { DatePickerInput } from "@mantine/dates";
import { useForm } from "@mantine/form";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands } from "../../api/queries";
import type { NewSmtpCredential } from "../../api/types";
import { useAct } from "../../parts/act";
import { FormDialog } from "../../parts/FormDialog";
import { StreamSelect } from "../../parts/StreamSelect";

interface Wanted {
  name: string;
  networks: string;
  rate: number | string;
  until: string | null;
  stream: string | null;
  sandbox: boolean;
}

function asked({ name, networks, rate, until, stream, sandbox }: Wanted) {
  return {
    name: name.trim(),
    networks: networks.split(/[\s,;]+/).filter(Boolean),
    ...(typeof rate === "number" && { rate }),
    ...(until && { expires_at: new Date(`${until}T23:59:59`).toISOString() }),
    stream,
    sandbox,
  };
}

export function Creating({
  opened,
  close,
  made,
}: {
  opened: boolean;
  close: () => void;
  made: (credential: NewSmtpCredential) => void;
}) {
  const { t } = useTranslation();
  const form = useForm<Wanted>({
    initialValues: { name: "", networks: "", rate: "", until: null, stream: null, sandbox: false },
    validate: { name: (name) => (name.trim() === "" ? t("credentials.needName") : null) },
  });
  const create = useAct({
    run: (wanted: Wanted) => commands.createSmtpCredential(asked(wanted)),
    stale: [["smtp-credentials"]],
    silent: true,
    done: (credential) => {
      made(credential);
      form.reset();
      close();
    },
  });
  const faults = create.error instanceof ApiError ? create.error.fields : {};
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("credentials.create")}
      onSubmit={form.onSubmit((values) => create.mutate(values))}
      submit={t("credentials.create")}
      busy={create.isPending}
      fault={create.error}
    >
      <TextInput
        label={t("credentials.name")}
        description={t("credentials.nameHint")}
        placeholder={t("credentials.namePlaceholder")}
        required
        data-autofocus
        {...form.getInputProps("name")}
        error={form.errors.name ?? faults.name}
      />
      <Textarea
        label={t("credentials.networks")}
        description={t("credentials.networksHint")}
        placeholder="192.0.2.0/28"
        autosize
        minRows={1}
        maxRows={5}
        {...form.getInputProps("networks")}
        error={faults.networks}
      />
      <NumberInput
        label={t("credentials.rate")}
        description={t("credentials.rateHint")}
        min={1}
        max={1_000_000}
        allowDecimal={false}
        {...form.getInputProps("rate")}
        error={faults.rate}
      />
      <DatePickerInput
        label={t("credentials.expires")}
        description={t("credentials.expiresHint")}
        clearable
        {...form.getInputProps("until")}
        error={faults.expires_at}
      />
      <StreamSelect
        label={t("credentials.stream")}
        description={t("credentials.streamHint")}
        placeholder={t("credentials.anyStream")}
        {...form.getInputProps("stream")}
        error={faults.stream}
      />
      <Checkbox
        label={t("credentials.asTest")}
        description={t("credentials.testHint")}
        {...form.getInputProps("sandbox", { type: "checkbox" })}
      />
    </FormDialog>
  );
}
