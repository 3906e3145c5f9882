/** The secret of a webhook that was just made or got a new one, which is never shown again. */
import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { IconKey } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import type { NewWebhook } from "../../api/types";
import { CodeBlock } from "../../parts/Copy";

export function Once({ made, done }: { made: NewWebhook; done: () => void }) {
  const { t } = useTranslation();
  return (
    <Alert color="teal" variant="outline" icon={<IconKey aria-hidden />} title={t("webhooks.once")}>
      <Stack gap="xs">
        <Text>{t("webhooks.onceHint")}</Text>
        <CodeBlock text={made.secret} what={t("webhooks.secret")} />
        {made.webhook.old_secret_until && <Text>{t("webhooks.onceOld")}</Text>}
        <Group>
          <Button size="xs" variant="default" onClick={done}>
            {t("webhooks.done")}
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}
