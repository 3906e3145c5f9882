/** The switch, one for each login of the account, that keeps its password off SMTP. */
import { Paper, Stack, Switch, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { commands, smtpPasswords } from "../../api/queries";
import type { SmtpCredential, SmtpPassword } from "../../api/types";
import { useAct } from "../../parts/act";
import { confirm } from "../../parts/confirm";
import { Section } from "../../parts/Page";

export function Passwords({ live }: { live: SmtpCredential[] }) {
  const { t } = useTranslation();
  const logins = useQuery(smtpPasswords).data?.items ?? [];
  const put = useAct({
    run: ({ username, allowed }: SmtpPassword) => commands.allowSmtpPassword({ username, allowed }),
    stale: [["smtp-passwords"]],
    said: (one) => t(one.allowed ? "credentials.allowed" : "credentials.forbidden", one),
  });
  const turn = ({ username, allowed }: SmtpPassword) => {
    if (!allowed) return put.mutate({ username, allowed: true });
    const left = live.some((one) => one.username === username);
    confirm({
      title: t("credentials.forbidTitle", { username }),
      text: left ? t("credentials.forbidText") : t("credentials.forbidAll"),
      yes: t("credentials.forbid"),
      act: () => put.mutate({ username, allowed: false }),
    });
  };
  if (logins.length === 0) return null;
  return (
    <Section title={t("credentials.passwords")} hint={t("credentials.passwordsHint")}>
      <Paper p="md">
        <Stack gap="sm">
          {logins.map((login) => (
            <Switch
              key={login.username}
              checked={login.allowed}
              onChange={() => turn(login)}
              label={<bdi>{login.username}</bdi>}
              description={t(login.allowed ? "credentials.isAllowed" : "credentials.isForbidden")}
            />
          ))}
        </Stack>
        <Text size="xs" c="dimmed" mt="sm">
          {t("credentials.consoleStays")}
        </Text>
      </Paper>
    </Section>
  );
}
