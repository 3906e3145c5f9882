/** The first page: in five seconds, whether all is right, what needs you, and what failed last. */
import { Button, Paper, Skeleton, Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { askAnew } from "../../api/anew";
import { useLive } from "../../api/live";
import { domains, messages, queue, session, smtpSettings } from "../../api/queries";
import type { Me, MessageSummary } from "../../api/types";
import { count } from "../../format/number";
import { CodeBlock } from "../../parts/Copy";
import { Failure, Lines } from "../../parts/Feedback";
import { May } from "../../parts/May";
import { useNow } from "../../parts/now";
import { Page, Section } from "../../parts/Page";
import { States } from "../../parts/State";
import { Ago } from "../../parts/Time";
import { snippet, values } from "../smtp/snippets";
import { NeedRow } from "./NeedRow";
import { needs } from "./needs";
import classes from "./Overview.module.css";

const FEW = 5;

export function Component() {
  const { t } = useTranslation();
  const me = useQuery(session).data;
  return (
    <Page title={t("overview.title")} intro={t("overview.intro")}>
      {me ? <Body me={me} /> : <Lines n={8} />}
    </Page>
  );
}

function Body({ me }: { me: Me }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const { operator } = me.account;
  const recent = useQuery(messages({ limit: FEW }));
  const bounced = useQuery(messages({ state: "bounced", limit: FEW }));
  const deferred = useQuery(messages({ state: "deferred", limit: FEW }));
  const ownDomains = useQuery(domains);
  const settings = useQuery(smtpSettings);
  const lanes = useQuery({ ...queue, enabled: operator });
  const now = useNow(60_000);
  useLive(() => void askAnew(cache, ["messages", "list"]));

  if (recent.error && !recent.data)
    return <Failure error={recent.error} again={() => void recent.refetch()} />;
  const needed = needs(
    { me, domains: ownDomains.data?.items, queue: lanes.data, settings: settings.data },
    now,
  );
  const known = recent.data && bounced.data && deferred.data && ownDomains.data && settings.data;
  return (
    <>
      {known ? (
        <Verdict
          needed={needed.length}
          sent={recent.data.items.length > 0}
          waiting={lanes.data?.deferred ?? 0}
        />
      ) : (
        <Skeleton height={46} />
      )}
      {needed.length > 0 && (
        <Section title={t("overview.needs")}>
          <Paper>
            <ul className={classes.needs}>
              {needed.map((need) => (
                <NeedRow
                  key={need.kind + ("domain" in need ? need.domain.id : "lane" in need ? need.lane.lane : "")}
                  need={need}
                />
              ))}
            </ul>
          </Paper>
        </Section>
      )}
      {recent.data?.items.length === 0 ? (
        <Start />
      ) : (
        <>
          <div className={classes.columns}>
            <Section
              title={t("overview.failures")}
              action={
                bounced.data?.items.length ? <SeeAll state="bounced" word={t("overview.seeFailed")} /> : null
              }
            >
              <Few mails={bounced.data?.items} none={t("overview.failuresNone")} />
            </Section>
            {deferred.data && deferred.data.items.length > 0 && (
              <Section
                title={t("overview.waitingTitle")}
                action={<SeeAll state="deferred" word={t("overview.seeWaiting")} />}
              >
                <Few mails={deferred.data.items} none="" />
              </Section>
            )}
          </div>
          <Section title={t("overview.recent")} action={<Link to="/messages">{t("overview.seeAll")}</Link>}>
            <Few mails={recent.data?.items} none="" />
          </Section>
        </>
      )}
    </>
  );
}

function SeeAll({ state, word }: { state: "bounced" | "deferred"; word: string }) {
  return (
    <Link to="/messages" search={{ state }}>
      {word}
    </Link>
  );
}

/** One line in words; nothing is said that was not answered by the server. */
function Verdict({ needed, sent, waiting }: { needed: number; sent: boolean; waiting: number }) {
  const { t } = useTranslation();
  const right = needed === 0;
  const Icon = right ? IconCircleCheck : IconAlertTriangle;
  const words = !right
    ? t("overview.needsYou", { count: needed, n: count(needed) })
    : waiting > 0
      ? t("overview.waiting", { count: waiting, n: count(waiting) })
      : sent
        ? t("overview.allRight")
        : t("overview.nothingSent");
  return (
    <p className={classes.verdict} data-right={right || undefined} role="status">
      <Icon size={20} aria-hidden />
      {words}
    </p>
  );
}

function Few({ mails, none }: { mails: MessageSummary[] | undefined; none: string }) {
  const { t } = useTranslation();
  if (!mails) return <Lines n={3} />;
  if (mails.length === 0) return <Text c="dimmed">{none}</Text>;
  return (
    <Paper>
      <ul className={classes.few}>
        {mails.map((mail) => (
          <li key={mail.id}>
            <div className={classes.mail}>
              <Link to="/messages/$id" params={{ id: mail.id }} className={classes.to}>
                <bdi>{mail.recipients[0]}</bdi>
                {mail.recipient_count > 1 &&
                  ` ${t("messages.andMore", { n: count(mail.recipient_count - 1) })}`}
              </Link>
              <span className={classes.subject} dir="auto">
                {mail.subject || t("messages.noSubject")}
              </span>
            </div>
            <States states={mail.states} total={mail.recipient_count} />
            <span className={classes.at}>
              <Ago at={mail.created_at} />
            </span>
          </li>
        ))}
      </ul>
    </Paper>
  );
}

/** Nothing was sent yet: the way to the first mail, with real values. */
function Start() {
  const { t } = useTranslation();
  const settings = useQuery(smtpSettings).data;
  const filled = settings && values(settings, t("smtp.yourPassword"));
  return (
    <Section title={t("overview.start.title")} hint={t("overview.start.intro")}>
      {filled ? (
        <CodeBlock text={snippet("swaks", filled)} what={t("smtp.snippets.swaks")} />
      ) : (
        <Lines n={3} />
      )}
      <div className={classes.acts}>
        <May scope="send">
          <Button component={Link} to="/send">
            {t("overview.start.orTest")}
          </Button>
        </May>
        <Button component={Link} to="/smtp" variant="default">
          {t("overview.start.settings")}
        </Button>
      </div>
    </Section>
  );
}
