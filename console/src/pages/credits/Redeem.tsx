/** A code of a voucher, turned into credits. */
import { Button, Group, Paper, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { redeemVoucher } from "../../api/credits";
import { count } from "../../format/number";
import { useAct } from "../../parts/act";
import { FormFault } from "../../parts/Feedback";
import { Section } from "../../parts/Page";
import classes from "./Credits.module.css";

export function Redeem() {
  const { t } = useTranslation();
  const form = useForm({
    initialValues: { code: "" },
    validate: { code: (code) => (code.trim() === "" ? t("credits.needCode") : null) },
  });
  const redeem = useAct({
    run: ({ code }: typeof form.values) => redeemVoucher(code.trim()),
    stale: [["account"], ["session"]],
    silent: true,
    said: (_, { amount }) => t("credits.redeemed", { count: amount, n: count(amount) }),
    done: () => form.reset(),
  });
  const fault = redeem.error instanceof ApiError ? redeem.error.fields.code : undefined;
  return (
    <Section title={t("credits.voucher")}>
      <Paper className={classes.card}>
        <form onSubmit={form.onSubmit((values) => redeem.mutate(values))}>
          <Group align="flex-end" gap="sm">
            <TextInput
              label={t("credits.code")}
              placeholder="7K3M-Q9XA-2BCD-EF4G"
              autoComplete="off"
              autoCapitalize="characters"
              spellCheck={false}
              maxLength={40}
              w={260}
              {...form.getInputProps("code")}
              error={form.errors.code ?? Boolean(fault)}
            />
            <Button type="submit" variant="default" loading={redeem.isPending}>
              {t("credits.redeem")}
            </Button>
          </Group>
          {redeem.error && (
            <div className={classes.fault}>
              <FormFault error={fault ? new Error(fault) : redeem.error} />
            </div>
          )}
        </form>
      </Paper>
    </Section>
  );
}
