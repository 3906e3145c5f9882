/** Inviting somebody: the address, and what they are there for. */
import { Radio, Stack, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import type { Role } from "../../api/types";
import { invite } from "../../api/users";
import { useAct } from "../../parts/act";
import { FormDialog } from "../../parts/FormDialog";
import { ROLES } from "./roles";

export function Inviting({ opened, close, mine }: { opened: boolean; close: () => void; mine: Role }) {
  const { t } = useTranslation();
  const form = useForm({ initialValues: { email: "", role: "viewer" as Role } });
  const act = useAct({
    run: ({ email, role }: typeof form.values) => invite(email.trim(), role),
    stale: [["users"], ["audit"]],
    silent: true,
    said: ({ email }) => t("users.invited", { email }),
    done: () => {
      form.reset();
      close();
    },
  });
  const faults = act.error instanceof ApiError ? act.error.fields : {};
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("users.invite")}
      onSubmit={form.onSubmit((values) => act.mutate(values))}
      submit={t("users.send")}
      busy={act.isPending}
      fault={faults.email ? null : act.error}
    >
      <TextInput
        label={t("users.email")}
        description={t("users.emailHint")}
        type="email"
        required
        data-autofocus
        autoComplete="off"
        {...form.getInputProps("email")}
        error={faults.email}
      />
      <Radio.Group label={t("users.roleHead")} {...form.getInputProps("role")}>
        <Stack gap={8} mt={4}>
          {ROLES.filter((role) => role !== "owner" || mine === "owner").map((role) => (
            <Radio
              key={role}
              value={role}
              label={t(`users.role.${role}`)}
              description={t(`users.means.${role}`)}
            />
          ))}
        </Stack>
      </Radio.Group>
    </FormDialog>
  );
}
