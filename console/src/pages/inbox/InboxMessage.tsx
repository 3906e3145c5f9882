/** One captured mail as its reader would get it. */
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { content } from "../../api/queries";
import { Content } from "../../parts/Content";
import { Facts } from "../../parts/Facts";
import { Page } from "../../parts/Page";

const route = getRouteApi("/frame/inbox/$id");

export function Component() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const headers = useQuery(content("inbox", id)).data?.headers;
  const header = (name: string) => headers?.find((one) => one.name.toLowerCase() === name)?.value.trim();
  const title = headers ? header("subject") || t("messages.noSubject") : t("nav.inbox");
  const from = header("from");
  const to = header("to");
  const date = header("date");
  return (
    <Page title={title} back={{ to: "/inbox", label: t("nav.inbox") }}>
      {headers && (
        <Facts
          facts={[
            from && [t("inbox.from"), <bdi key="f">{from}</bdi>],
            to && [t("inbox.to"), <bdi key="t">{to}</bdi>],
            date && [t("inbox.at"), date],
          ]}
        />
      )}
      <Content of="inbox" id={id} />
    </Page>
  );
}
