/** The settings of a credential that was just made, with its password, which is never shown again. */
import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { IconKey } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { smtpSettings } from "../../api/queries";
import type { NewSmtpCredential } from "../../api/types";
import { CodeBlock, CopyValue } from "../../parts/Copy";
import { Facts } from "../../parts/Facts";
import { snippet, values } from "../smtp/snippets";

export function Once({ made, done }: { made: NewSmtpCredential; done: () => void }) {
  const { t } = useTranslation();
  const settings = useQuery(smtpSettings).data;
  const port = settings?.ports[0];
  const ready = settings && port && values({ ...settings, username: made.username }, made.password);
  return (
    <Alert color="teal" variant="outline" icon={<IconKey aria-hidden />} title={t("credentials.once")}>
      <Stack gap="xs">
        <Text>{t("credentials.onceHint", { name: made.name })}</Text>
        <Facts
          facts={[
            [t("smtp.username"), <CopyValue key="u" value={made.username} what={t("smtp.username")} mono />],
            [t("smtp.password"), <CopyValue key="p" value={made.password} what={t("smtp.password")} mono />],
            settings && [
              t("smtp.server"),
              <CopyValue key="h" value={settings.hostname} what={t("smtp.server")} mono />,
            ],
            port && [t("smtp.port"), `${port.port}, ${t(`smtp.securities.${port.security}`)}`],
          ]}
        />
        {ready && (
          <>
            <Text size="sm">{t("credentials.tryIt")}</Text>
            <CodeBlock text={snippet("swaks", ready)} what={t("smtp.snippets.swaks")} />
          </>
        )}
        <Group>
          <Button size="xs" variant="default" onClick={done}>
            {t("credentials.done")}
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}
