/** What the operator has to say, on top of every page until somebody puts it away. */
import { Alert } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ownAnnouncements, putAnnouncementAway } from "../api/announcements";
import { useAct } from "../parts/act";

const COLOURS = { info: "blue", warning: "yellow", problem: "red" } as const;

/** `stay`: whoever looks has no login here to put them away for. */
export function Announcements({ stay }: { stay: boolean }) {
  const { t } = useTranslation();
  const query = useQuery(ownAnnouncements);
  const putAway = useAct({ run: putAnnouncementAway, stale: [["announcements", "own"]] });
  return query.data?.items.map(({ id, text, severity }) => (
    <Alert
      key={id}
      color={COLOURS[severity]}
      variant="outline"
      role="note"
      mb="md"
      py="xs"
      withCloseButton={!stay}
      closeButtonLabel={t("announcements.putAway")}
      onClose={() => putAway.mutate(id)}
    >
      <strong>{t("announcements.says", { severity: t(`announcements.severities.${severity}`) })}</strong>{" "}
      <span dir="auto">{text}</span>
    </Alert>
  ));
}
