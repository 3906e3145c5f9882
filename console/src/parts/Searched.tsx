/** How far a search went, where the server looked through a part of a long list for one page. */
import { Button, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { absolute } from "../format/time";
import type { Paging } from "./DataTable";
import { Empty } from "./Feedback";

export function SearchedTo({ at }: { at: string }) {
  const { t } = useTranslation();
  return (
    <Text c="dimmed" size="xs" aria-live="polite">
      {t("table.searchedTo", { when: absolute(Date.parse(at)) })}
    </Text>
  );
}

/** In place of a page without rows behind which there is more. */
export function SearchOn({ at, paging }: { at: string; paging: Paging }) {
  const { t } = useTranslation();
  return (
    <Empty
      title={t("table.nothingSoFar")}
      hint={t("table.nothingSoFarHint", { when: absolute(Date.parse(at)) })}
    >
      <Button onClick={paging.onNext}>{t("table.searchOn")}</Button>
      {paging.hasPrevious && (
        <Button variant="default" onClick={paging.onFirst}>
          {t("table.firstPage")}
        </Button>
      )}
    </Empty>
  );
}
