/** Recovery codes, shown this once. */
import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import { IconLifebuoy } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import { save } from "../../format/csv";
import { CodeBlock } from "../../parts/Copy";

export function RecoveryCodes({ codes, done }: { codes: string[]; done: () => void }) {
  const { t } = useTranslation();
  const text = codes.join("\n");
  return (
    <Alert
      color="teal"
      variant="outline"
      role="alert"
      icon={<IconLifebuoy aria-hidden />}
      title={t("security.codesTitle")}
    >
      <Stack gap="sm">
        <Text>{t("security.codesHint")}</Text>
        <CodeBlock text={text} what={t("security.codes")} />
        <Group gap="xs">
          <Button
            size="xs"
            variant="default"
            onClick={() => save("recovery-codes.txt", `${text}\n`, "text/plain;charset=utf-8")}
          >
            {t("security.codesSave")}
          </Button>
          <Button size="xs" onClick={done}>
            {t("security.codesDone")}
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}
