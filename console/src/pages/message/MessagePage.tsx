/** One message from top to bottom as its life: how it came in, what became of each recipient, what was in it. */
import { Button, Group, Paper } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconCalendarClock, IconRefresh, IconX } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { askAnew } from "../../api/anew";
import { useLive } from "../../api/live";
import { commands, message } from "../../api/queries";
import type { Message } from "../../api/types";
import { count, size } from "../../format/number";
import { absolute } from "../../format/time";
import { useAct } from "../../parts/act";
import { Content } from "../../parts/Content";
import { CopyValue } from "../../parts/Copy";
import { confirm } from "../../parts/confirm";
import { Facts } from "../../parts/Facts";
import { Empty, Failure, Lines } from "../../parts/Feedback";
import { May } from "../../parts/May";
import { Page, Section } from "../../parts/Page";
import { States } from "../../parts/State";
import { Ago, When } from "../../parts/Time";
import { Log } from "./Log";
import classes from "./Message.module.css";
import { Moving } from "./Moving";
import { isOverdue, Recipients } from "./Recipients";

const route = getRouteApi("/frame/messages/$id");

export function Component() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const query = useQuery(message(id));
  const cache = useQueryClient();
  useLive((news) => {
    if (news === "gap" || news.some((event) => event.message === id)) {
      void askAnew(cache, message(id).queryKey);
    }
  });
  const back = { to: "/messages", label: t("nav.messages") } as const;
  if (!query.data) {
    return (
      <Page title={t("nav.messages")} back={back}>
        {query.error ? <Failure error={query.error} again={() => void query.refetch()} /> : <Lines n={10} />}
      </Page>
    );
  }
  const mail = query.data;
  return (
    <Page
      title={mail.subject || t("messages.noSubject")}
      back={back}
      intro={<Summary mail={mail} />}
      action={<Acts mail={mail} />}
    >
      <Accepted mail={mail} />
      <Section
        title={t("message.recipients", { count: mail.recipient_count, n: count(mail.recipient_count) })}
      >
        <Recipients mail={mail} />
      </Section>
      <Section title={t("message.content")} hint={<Kept mail={mail} />}>
        {mail.content_available ? (
          <Content
            of="messages"
            id={mail.id}
            more={{ id: "log", label: t("message.tabs.log"), panel: <Log mail={mail} /> }}
          />
        ) : (
          <>
            <Empty title={t("message.contentGone")} hint={t("message.contentGoneHint")} />
            <Log mail={mail} />
          </>
        )}
      </Section>
    </Page>
  );
}

function Summary({ mail }: { mail: Message }) {
  const { t } = useTranslation();
  const only = mail.recipient_count === 1 ? mail.recipients[0]?.address : undefined;
  return (
    <div className={classes.summary}>
      <States states={mail.states} total={mail.recipient_count} />
      <span>
        <bdi>{mail.from}</bdi>{" "}
        {only
          ? t("message.to", { who: only })
          : t("message.toMany", { count: mail.recipient_count, n: count(mail.recipient_count) })}
      </span>
      <Ago at={mail.created_at} />
    </div>
  );
}

function Kept({ mail }: { mail: Message }) {
  const { t } = useTranslation();
  if (!mail.content_available || !mail.content_kept_until) return null;
  return t("message.keptUntil", { time: absolute(Date.parse(mail.content_kept_until)) });
}

/** How many recipients can still be tried or cancelled. */
function waiting(mail: Message): number {
  return (
    (mail.states.scheduled ?? 0) +
    (mail.states.queued ?? 0) +
    (mail.states.deferred ?? 0) +
    (mail.states.held ?? 0)
  );
}

function Acts({ mail }: { mail: Message }) {
  const { t } = useTranslation();
  const stale = [["messages"], ["queue"]];
  const retry = useAct({
    run: () => commands.retryMessage(mail.id),
    stale,
    said: () => t("message.retried"),
  });
  const cancel = useAct({
    run: () => commands.cancelMessage(mail.id),
    stale,
    said: () => t("message.cancelled"),
  });
  const [moving, move] = useDisclosure();
  const n = waiting(mail);
  if (n === 0) return null;
  const scheduled = mail.states.scheduled === n;
  return (
    <May scope="messages">
      {moving && <Moving mail={mail} close={move.close} />}
      <Button
        variant="default"
        leftSection={<IconX size={15} aria-hidden />}
        loading={cancel.isPending}
        onClick={() =>
          confirm({
            title: t("message.cancelTitle"),
            text: t("message.cancelAll", { count: n, n: count(n) }),
            yes: t("message.cancelYes", { count: n, n: count(n) }),
            leave: t("message.keep"),
            act: () => cancel.mutate(),
          })
        }
      >
        {t("message.cancel")}
      </Button>
      {(scheduled || mail.recipients.some(isOverdue)) && (
        <Button
          variant="default"
          leftSection={<IconCalendarClock size={15} aria-hidden />}
          onClick={move.open}
        >
          {t("message.move")}
        </Button>
      )}
      <Button
        leftSection={<IconRefresh size={15} aria-hidden />}
        loading={retry.isPending}
        onClick={() => retry.mutate()}
      >
        {t(scheduled ? "message.sendNow" : "message.retry")}
      </Button>
    </May>
  );
}

/** Whether it was kept here instead of being delivered, whoever asked for that. */
function isSandboxed(mail: Message): boolean {
  return mail.events.some(
    ({ kind, data }) => kind === "accepted" && (data as { sandbox?: boolean }).sandbox === true,
  );
}

const WAYS = ["smtp", "api", "command", "own"] as const;

function Accepted({ mail }: { mail: Message }) {
  const { t } = useTranslation();
  const { origin } = mail;
  const way = WAYS.find((one) => one === origin.via);
  const { unsubscribe, track_opens, track_clicks } = mail.wants;
  const wanted = [
    unsubscribe !== "none" && t("streams.wanted.unsubscribe"),
    track_opens && t("streams.wanted.track_opens"),
    track_clicks && t("streams.wanted.track_clicks"),
  ].filter(Boolean);
  return (
    <Section title={t("message.accepted")}>
      <Paper className={classes.accepted}>
        <Facts
          facts={[
            [t("message.field.at"), <When key="at" at={mail.created_at} />],
            [
              t("message.field.protocol"),
              [way ? t(`message.acceptedBy.${way}`) : origin.via, origin.protocol].filter(Boolean).join(", "),
            ],
            origin.login && [t("message.field.login"), origin.login],
            origin.credential && [
              t("message.field.credential"),
              <bdi key="credential">{origin.credential.name}</bdi>,
            ],
            isSandboxed(mail) && [
              t("message.field.test"),
              <span key="test">
                {t("message.notSent")} <Link to="/inbox">{t("nav.inbox")}</Link>
              </span>,
            ],
            origin.ip && [
              t("message.field.client"),
              origin.helo ? `${origin.ip} (${origin.helo})` : origin.ip,
            ],
            way === "smtp" && [t("message.field.tls"), origin.tls ?? t("message.field.noTls")],
            origin.listener && [t("message.field.listener"), origin.listener],
          ]}
        />
        <Facts
          facts={[
            [t("message.field.from"), <bdi key="from">{mail.from}</bdi>],
            [
              t("message.field.stream"),
              <Link key="stream" to="/messages" search={{ stream: mail.stream }}>
                {mail.stream}
              </Link>,
            ],
            wanted.length > 0 && [t("message.field.wants"), wanted.join(", ")],
            mail.tags.length > 0 && [
              t("message.field.tags"),
              <Group key="tags" gap={6}>
                {mail.tags.map((tag) => (
                  <Link key={tag} to="/messages" search={{ tag }}>
                    <bdi>{tag}</bdi>
                  </Link>
                ))}
              </Group>,
            ],
            [t("message.field.envelope"), mail.reverse_path || t("message.field.nullSender")],
            mail.message_id && [
              t("message.field.messageId"),
              <CopyValue key="mid" value={mail.message_id} what={t("message.field.messageId")} mono />,
            ],
            mail.envid && [t("message.field.envid"), mail.envid],
            [t("message.field.id"), <CopyValue key="id" value={mail.id} what={t("message.field.id")} mono />],
            [t("message.field.size"), size(mail.size)],
          ]}
        />
      </Paper>
    </Section>
  );
}
