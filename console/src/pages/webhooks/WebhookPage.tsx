/** One webhook: how it is, what it was told, and what can be done with it. */
import { Alert, Button, Group } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlayerPause } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { NewWebhook, Webhook } from "../../api/types";
import {
  deleteWebhook,
  newSecret,
  pauseWebhook,
  resumeWebhook,
  testWebhook,
  webhook as webhookQuery,
} from "../../api/webhooks";
import { useAct } from "../../parts/act";
import { confirm } from "../../parts/confirm";
import { Facts } from "../../parts/Facts";
import { Failure, Lines } from "../../parts/Feedback";
import { May } from "../../parts/May";
import { Page } from "../../parts/Page";
import { State } from "../../parts/State";
import { Ago, When } from "../../parts/Time";
import { Deliveries } from "./Deliveries";
import { Editing } from "./Editing";
import { Once } from "./Once";
import { looks, place } from "./words";

const route = getRouteApi("/frame/webhooks/$id");

export function Component() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const query = useQuery(webhookQuery(id));
  const back = { to: "/webhooks", label: t("nav.webhooks") } as const;
  if (!query.data) {
    return (
      <Page title={t("nav.webhooks")} back={back}>
        {query.error ? <Failure error={query.error} again={() => void query.refetch()} /> : <Lines n={8} />}
      </Page>
    );
  }
  return <Loaded webhook={query.data} back={back} />;
}

function Loaded({ webhook, back }: { webhook: Webhook; back: { to: "/webhooks"; label: string } }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [made, setMade] = useState<NewWebhook>();
  const test = useAct({
    run: () => testWebhook(webhook.id),
    stale: [["webhooks", "deliveries"]],
    said: () => t("webhooks.tested"),
  });
  const rotate = useAct({
    run: () => newSecret(webhook.id),
    stale: [["webhooks"]],
    done: (secret) => {
      cache.setQueryData(webhookQuery(webhook.id).queryKey, secret.webhook);
      setMade(secret);
    },
  });
  const askSecret = () =>
    confirm({
      title: t("webhooks.newSecretTitle"),
      text: t("webhooks.newSecretText"),
      yes: t("webhooks.newSecret"),
      danger: false,
      act: () => rotate.mutate(),
    });
  return (
    <Page
      title={webhook.description || place(webhook)}
      back={back}
      action={
        <May scope="account">
          <Button loading={test.isPending} onClick={() => test.mutate()}>
            {t("webhooks.test")}
          </Button>
        </May>
      }
    >
      {made && <Once made={made} done={() => setMade(undefined)} />}
      {webhook.paused && (
        <Alert color="yellow" variant="outline" icon={<IconPlayerPause aria-hidden />}>
          {t(`webhooks.pausedWhy.${webhook.paused}`)}
        </Alert>
      )}
      <Facts
        facts={[
          [t("webhooks.state"), <State key="s" state={looks(webhook)} />],
          [
            t("webhooks.url"),
            <span key="u" className="mono">
              {webhook.url}
            </span>,
          ],
          [t("webhooks.types"), webhook.types.join(", ") || t("webhooks.every")],
          webhook.stream && [t("webhooks.stream"), webhook.stream],
          webhook.failing_since && [t("webhooks.failing"), <Ago key="f" at={webhook.failing_since} />],
          webhook.old_secret_until && [
            t("webhooks.oldSecret"),
            <When key="o" at={webhook.old_secret_until} />,
          ],
          [t("webhooks.created"), <Ago key="c" at={webhook.created_at} />],
        ]}
      />
      <May scope="account">
        <Acts webhook={webhook} askSecret={askSecret} />
      </May>
      <Deliveries webhook={webhook} />
    </Page>
  );
}

function Acts({ webhook, askSecret }: { webhook: Webhook; askSecret: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [editing, dialog] = useDisclosure();
  const turn = useAct({
    run: () => (webhook.paused ? resumeWebhook(webhook.id) : pauseWebhook(webhook.id)),
    stale: [["webhooks"]],
    said: () => t(webhook.paused ? "webhooks.isResumed" : "webhooks.isPaused"),
  });
  const remove = useAct({
    run: () => deleteWebhook(webhook.id),
    stale: [["webhooks"]],
    said: () => t("webhooks.deleted"),
    done: () => void navigate({ to: "/webhooks" }),
  });
  const askDelete = () =>
    confirm({
      title: t("webhooks.deleteTitle", { place: place(webhook) }),
      text: t("webhooks.deleteText"),
      yes: t("webhooks.delete"),
      act: () => remove.mutate(),
    });
  return (
    <Group gap="xs">
      <Button variant="default" size="xs" onClick={dialog.open}>
        {t("webhooks.change")}
      </Button>
      <Button variant="default" size="xs" loading={turn.isPending} onClick={() => turn.mutate()}>
        {t(webhook.paused ? "webhooks.resume" : "webhooks.pause")}
      </Button>
      <Button variant="default" size="xs" onClick={askSecret}>
        {t("webhooks.newSecret")}
      </Button>
      <Button variant="default" size="xs" onClick={askDelete}>
        {t("webhooks.delete")}
      </Button>
      {editing && <Editing opened close={dialog.close} webhook={webhook} />}
    </Group>
  );
}
