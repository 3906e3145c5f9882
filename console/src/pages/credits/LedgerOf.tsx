/** For operators: the ledger of one account, on that account's page. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ledgerOf } from "../../api/credits";
import { Section } from "../../parts/Page";
import { Ledger } from "./Ledger";

export function LedgerOf({ id }: { id: string }) {
  const { t } = useTranslation();
  // The cursors of the pages before this one and its own; the address is the account's.
  const [trail, go] = useState<string[]>([]);
  const query = useQuery(ledgerOf(id, trail.at(-1)));
  const next = query.data?.next;
  return (
    <Section title={t("credits.list")} hint={t("credits.listHint")}>
      <Ledger
        query={query}
        paging={{
          hasNext: Boolean(next),
          hasPrevious: trail.length > 0,
          onFirst: () => go([]),
          onPrevious: () => go(trail.slice(0, -1)),
          onNext: () => next && go([...trail, next]),
        }}
      />
    </Section>
  );
}
