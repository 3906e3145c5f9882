/** The form that makes a credential. */
import { Checkbox } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands } from "../../api/queries";
import type { NewSmtpCredential } from "../../api/types";
import { useAct } from "../../parts/act";
import { FormDialog } from "../../parts/FormDialog";
import { Fields, limits, NOTHING, validate, type Wanted } from "./fields";

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
  const form = useForm<Wanted>({ initialValues: NOTHING, validate });
  const [sandbox, setSandbox] = useState(false);
  const create = useAct({
    run: (wanted: Wanted) =>
      commands.createSmtpCredential({ name: wanted.name.trim(), ...limits(wanted), sandbox }),
    stale: [["smtp-credentials"]],
    silent: true,
    done: (credential) => {
      made(credential);
      form.reset();
      setSandbox(false);
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
      <Fields getInputProps={form.getInputProps} errors={form.errors} faults={faults} />
      <Checkbox
        label={t("credentials.asTest")}
        description={t("credentials.testHint")}
        checked={sandbox}
        onChange={(event) => setSandbox(event.currentTarget.checked)}
      />
    </FormDialog>
  );
}
