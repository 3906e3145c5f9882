/** For operators: who may open an account, and inviting somebody. */
import { Button, Group, Paper, Radio, Select, Stack, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { commands, signUpMode } from "../../api/queries";
import { useAct } from "../../parts/act";
import { Failure, FormFault, Lines } from "../../parts/Feedback";
import { Section } from "../../parts/Page";
import { LANGUAGES } from "../../words/language";
import classes from "./Accounts.module.css";

const NAMES = { en: "English", fr: "Français" } as const;
const MODES = ["open", "invite", "closed"] as const;

export function SignUp() {
  const { t } = useTranslation();
  const query = useQuery(signUpMode);
  const choose = useAct({
    run: (mode: (typeof MODES)[number] | null) => commands.chooseSignUpMode(mode),
    stale: [["sign-up"]],
    said: (_, { mode }) => t(`signUp.said_${mode}`),
  });
  if (!query.data) {
    return query.error ? <Failure error={query.error} again={() => void query.refetch()} /> : <Lines n={4} />;
  }
  const { mode, chosen, configured } = query.data;
  return (
    <Section title={t("signUp.title")} hint={t("signUp.hint")}>
      <Paper className={classes.card}>
        <Stack gap="lg">
          <Radio.Group
            aria-label={t("signUp.title")}
            value={chosen ?? "configured"}
            onChange={(value) => choose.mutate(MODES.find((one) => one === value) ?? null)}
          >
            <Stack gap="sm">
              <Radio
                value="configured"
                label={t("signUp.configured", { mode: t(`signUp.${configured}`) })}
                disabled={choose.isPending}
              />
              {MODES.map((one) => (
                <Radio
                  key={one}
                  value={one}
                  label={t(`signUp.${one}`)}
                  description={t(`signUp.hint_${one}`)}
                  disabled={choose.isPending}
                />
              ))}
            </Stack>
          </Radio.Group>
          {mode !== "closed" && <Invite />}
        </Stack>
      </Paper>
    </Section>
  );
}

function Invite() {
  const { t } = useTranslation();
  const form = useForm({ initialValues: { email: "", language: "en" } });
  const invite = useAct({
    run: ({ email, language }: typeof form.values) =>
      commands.invite({ email: email.trim(), language: language === "fr" ? "fr" : "en" }),
    stale: [],
    silent: true,
    said: ({ email }) => t("signUp.invited", { email }),
    done: () => form.reset(),
  });
  return (
    <form onSubmit={form.onSubmit((values) => invite.mutate(values))}>
      <Group align="flex-end" gap="sm">
        <TextInput
          label={t("signUp.inviteLabel")}
          type="email"
          required
          autoComplete="off"
          style={{ flex: "1 1 220px" }}
          {...form.getInputProps("email")}
        />
        <Select
          label={t("signUp.language")}
          data={LANGUAGES.map((one) => ({ value: one, label: NAMES[one] }))}
          allowDeselect={false}
          w={130}
          {...form.getInputProps("language")}
        />
        <Button type="submit" variant="default" loading={invite.isPending}>
          {t("signUp.send")}
        </Button>
      </Group>
      <FormFault error={invite.error} />
    </form>
  );
}
