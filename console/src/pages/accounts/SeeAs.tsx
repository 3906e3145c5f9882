/** For operators: seeing the console as an account, with a reason that its owners read. */
import { Anchor, Button, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconEye } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { seeAs } from "../../api/impersonation";
import type { Account } from "../../api/types";
import { useAct } from "../../parts/act";
import { FormDialog } from "../../parts/FormDialog";

export function SeeAs({ account }: { account: Account }) {
  const { t } = useTranslation();
  const [opened, dialog] = useDisclosure();
  const form = useForm({
    initialValues: { reason: "" },
    validate: { reason: (reason) => (reason.trim() === "" ? t("oneAccount.needReason") : null) },
  });
  const see = useAct({ run: (reason: string) => seeAs(account.id, reason.trim()), stale: [], silent: true });
  return (
    <>
      <Button variant="default" leftSection={<IconEye size={16} aria-hidden />} onClick={dialog.open}>
        {t("impersonation.begin")}
      </Button>
      <FormDialog
        opened={opened}
        close={dialog.close}
        title={t("impersonation.title", { name: account.name })}
        onSubmit={form.onSubmit(({ reason }) => see.mutate(reason))}
        submit={t("impersonation.yes")}
        busy={see.isPending}
        fault={see.error}
      >
        <Text>
          {t("impersonation.text")}{" "}
          <Anchor href="/help/operator-access" inherit>
            {t("impersonation.help")}
          </Anchor>
        </Text>
        <TextInput
          label={t("oneAccount.reason")}
          description={t("impersonation.reasonHint")}
          maxLength={200}
          withAsterisk
          data-autofocus
          {...form.getInputProps("reason")}
        />
      </FormDialog>
    </>
  );
}
