/** The webhooks of the account: add one and see its secret once, and how each of them is. */
import { Anchor, Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { NewWebhook, Webhook } from "../../api/types";
import { webhooks } from "../../api/webhooks";
import { agoColumn } from "../../parts/columns";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { List } from "../../parts/List";
import { May } from "../../parts/May";
import { Page } from "../../parts/Page";
import { State } from "../../parts/State";
import { Editing } from "./Editing";
import { Once } from "./Once";
import { looks, place } from "./words";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(webhooks);
  const [creating, dialog] = useDisclosure();
  const [made, setMade] = useState<NewWebhook>();
  const columns = useColumns();
  const rows = query.data?.items;
  const create = (
    <May scope="account">
      <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
        {t("webhooks.create")}
      </Button>
    </May>
  );
  const intro = (
    <>
      {t("webhooks.intro")}{" "}
      <Anchor href="/help/webhooks" underline="always">
        {t("webhooks.help")}
      </Anchor>
    </>
  );
  return (
    <Page title={t("webhooks.title")} intro={intro} action={rows?.length ? create : null}>
      {made && <Once made={made} done={() => setMade(undefined)} />}
      <List
        id="webhooks"
        label={t("webhooks.title")}
        columns={columns}
        query={query}
        empty={
          <Empty title={t("webhooks.emptyTitle")} hint={t("webhooks.emptyHint")}>
            {create}
          </Empty>
        }
      />
      <Editing opened={creating} close={dialog.close} made={setMade} />
    </Page>
  );
}

function useColumns(): Column<Webhook>[] {
  const { t } = useTranslation();
  const events = (row: Webhook) => row.types.join(", ") || t("webhooks.every");
  return [
    {
      id: "url",
      header: t("webhooks.url"),
      wide: true,
      cell: (row) => (
        <Link to="/webhooks/$id" params={{ id: row.id }}>
          <bdi>{row.description || place(row)}</bdi>
        </Link>
      ),
      text: (row) => row.url,
    },
    {
      id: "place",
      header: t("webhooks.place"),
      need: 3,
      cell: (row) => <span className="mono">{place(row)}</span>,
      text: (row) => place(row),
    },
    { id: "types", header: t("webhooks.types"), need: 2, cell: events, text: events },
    {
      id: "state",
      header: t("webhooks.state"),
      cell: (row) => <State state={looks(row)} />,
      text: looks,
    },
    agoColumn({ id: "created", header: t("webhooks.created"), need: 3, at: (row) => row.created_at }),
  ];
}
