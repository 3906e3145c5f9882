/** The button in the row of a credential that changes it, with its form. */
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands } from "../../api/queries";
import type { SmtpCredential } from "../../api/types";
import { useAct } from "../../parts/act";
import { RowAct } from "../../parts/columns";
import { FormDialog } from "../../parts/FormDialog";
import { Fields, limits, standing, validate, type Wanted } from "./fields";

export function Changing({ one }: { one: SmtpCredential }) {
  const { t } = useTranslation();
  const [opened, dialog] = useDisclosure();
  const form = useForm<Wanted>({ initialValues: standing(one), validate });
  const bound = (["networks", "rate", "until", "stream"] as const).some((field) => form.isDirty(field));
  const change = useAct({
    run: (wanted: Wanted) =>
      commands.changeSmtpCredential(one.id, {
        name: wanted.name.trim(),
        // Left alone they are not sent: one that has expired could not be renamed otherwise.
        ...(bound && { limits: limits(wanted, one.expires_at) }),
      }),
    stale: [["smtp-credentials"]],
    silent: true,
    said: ({ name }) => t("credentials.changed", { name: name.trim() }),
    done: dialog.close,
  });
  const open = () => {
    // The row may have been asked anew since the form was made.
    form.setInitialValues(standing(one));
    form.reset();
    change.reset();
    dialog.open();
  };
  const faults = change.error instanceof ApiError ? change.error.fields : {};
  return (
    <>
      <RowAct label={t("credentials.change")} name={one.name} act={open} />
      <FormDialog
        opened={opened}
        close={dialog.close}
        title={t("credentials.changeTitle", { name: one.name })}
        onSubmit={form.onSubmit((values) => change.mutate(values))}
        submit={t("credentials.save")}
        busy={change.isPending}
        fault={change.error}
      >
        <Fields getInputProps={form.getInputProps} errors={form.errors} faults={faults} />
      </FormDialog>
    </>
  );
}
