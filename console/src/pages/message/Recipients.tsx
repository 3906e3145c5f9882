/** Each recipient as a lane: its state in plain words, its tries on a time line, each reply as it came. */
import { ActionIcon, Button, Tooltip, UnstyledButton } from "@mantine/core";
import { IconChevronRight, IconRefresh, IconX } from "@tabler/icons-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { commands } from "../../api/queries";
import type { Attempt, Message, Recipient } from "../../api/types";
import { count } from "../../format/number";
import { absolute, span, took } from "../../format/time";
import { useAct } from "../../parts/act";
import { confirm } from "../../parts/confirm";
import { May } from "../../parts/May";
import { useNow } from "../../parts/now";
import { isKnown, LOOKS, rank, State } from "../../parts/State";
import { Ago } from "../../parts/Time";
import { Conversation } from "./Conversation";
import classes from "./Message.module.css";
import { asItCame } from "./reply";
import { timeline } from "./timeline";

const STEP = 20;
/** So few are all shown with their tries; of many, those that wait or failed are opened by hand. */
const OPEN_UP_TO = 3;

export function Recipients({ mail }: { mail: Message }) {
  const { t } = useTranslation();
  const [shown, show] = useState(STEP);
  // What failed or waits is what one comes here for.
  const sorted = mail.recipients.toSorted((a, b) => rank(a.state) - rank(b.state) || a.ordinal - b.ordinal);
  const left = sorted.length - shown;
  return (
    <div className={classes.lanes}>
      {sorted.slice(0, shown).map((recipient) => (
        <Lane
          key={recipient.ordinal}
          mail={mail}
          recipient={recipient}
          opened={mail.recipients.length <= OPEN_UP_TO}
        />
      ))}
      {left > 0 && (
        <div className={classes.further}>
          <Button variant="default" size="xs" onClick={() => show(shown + 5 * STEP)}>
            {t("message.showMore", { n: count(Math.min(left, 5 * STEP)) })}
          </Button>
        </div>
      )}
    </div>
  );
}

function Lane({ mail, recipient, opened }: { mail: Message; recipient: Recipient; opened: boolean }) {
  const { state, attempts } = recipient;
  const [open, toggle] = useState(opened);
  const waits = ["scheduled", "queued", "deferred", "held"].includes(state);
  return (
    <article className={classes.lane} data-state={state} aria-label={recipient.address}>
      <div className={classes.laneHead}>
        <UnstyledButton
          className={classes.opener}
          aria-expanded={open}
          disabled={attempts.length === 0}
          onClick={() => toggle(!open)}
        >
          <IconChevronRight size={15} aria-hidden data-open={open || undefined} />
          <bdi className={classes.address}>{recipient.address}</bdi>
        </UnstyledButton>
        <State state={state} />
        {!open && <Why recipient={recipient} short />}
        <span className={classes.laneSpring} />
        {waits && <LaneActs mail={mail} recipient={recipient} />}
      </div>
      {open && <Why recipient={recipient} />}
      {open && <Read recipient={recipient} />}
      {open && <TimeLine accepted={mail.created_at} recipient={recipient} />}
      {open && attempts.length > 0 && (
        <ol className={classes.attempts}>
          {attempts.toReversed().map((attempt) => (
            <Try key={attempt.number} message={mail.id} ordinal={recipient.ordinal} attempt={attempt} />
          ))}
        </ol>
      )}
    </article>
  );
}

function LaneActs({ mail, recipient }: { mail: Message; recipient: Recipient }) {
  const { t } = useTranslation();
  const stale = [["messages"], ["queue"]];
  const { ordinal, address } = recipient;
  const retry = useAct({
    run: () => commands.retryRecipient(mail.id, ordinal),
    stale,
    said: () => t("message.retried"),
  });
  const cancel = useAct({
    run: () => commands.cancelRecipient(mail.id, ordinal),
    stale,
    said: () => t("message.cancelled"),
  });
  // With one recipient the page's own buttons say the same.
  if (mail.recipient_count === 1) return null;
  const now = t(recipient.state === "scheduled" ? "message.sendNow" : "message.retry");
  const ask = () =>
    confirm({
      title: t("message.cancelTitle"),
      text: t("message.cancelOne", { address }),
      yes: t("message.cancelYes", { count: 1, n: "1" }),
      leave: t("message.keep"),
      act: () => cancel.mutate(),
    });
  return (
    <May scope="messages">
      <Tooltip label={now}>
        <ActionIcon
          variant="subtle"
          color="gray"
          loading={retry.isPending}
          onClick={() => retry.mutate()}
          aria-label={`${now}: ${address}`}
        >
          <IconRefresh size={16} aria-hidden />
        </ActionIcon>
      </Tooltip>
      <Tooltip label={t("message.cancel")}>
        <ActionIcon
          variant="subtle"
          color="gray"
          loading={cancel.isPending}
          onClick={ask}
          aria-label={`${t("message.cancel")}: ${address}`}
        >
          <IconX size={16} aria-hidden />
        </ActionIcon>
      </Tooltip>
    </May>
  );
}

/** How the server begins the reason of what waits behind a destination in trouble. */
const TROUBLE = "waiting: ";

/** How the server begins the reason of what is held because its time passed while it was away. */
const OVERDUE = "held: its time";

export function isOverdue({ state, reason }: Recipient): boolean {
  return state === "held" && reason.startsWith(OVERDUE);
}

/** The state in plain words, and when it goes on. */
function Why({ recipient, short }: { recipient: Recipient; short?: boolean }) {
  const { t, i18n } = useTranslation();
  const { state, reason, explanation, next_at, expires_at } = recipient;
  // A kind that a newer server knows and this page does not is left to its codes; so is what nobody can tell the kind of.
  const kind = `bounces.${recipient.class ?? "unclassified"}`;
  const bounce = kind !== "bounces.unclassified" && i18n.exists(kind) ? t(kind as "bounces.policy") : null;
  const waits = state === "queued" || state === "deferred";
  // What waits behind a destination in trouble was not tried itself: what happened to the others says why.
  const trouble = state === "queued" && reason.startsWith(TROUBLE) ? reason.slice(TROUBLE.length) : null;
  const plain =
    bounce ??
    explanation ??
    (isOverdue(recipient) ? t("message.overdue") : null) ??
    (trouble
      ? t("message.trouble", { why: trouble })
      : isKnown(state) && state in WORDS
        ? t(`message.why.${state as Worded}`)
        : null);
  return (
    <p className={classes.why} data-short={short || undefined}>
      {plain}
      {state === "scheduled" && next_at && (
        <time className={classes.next} dateTime={next_at}>
          {absolute(Date.parse(next_at))}
        </time>
      )}
      {waits && next_at && (
        <span className={classes.next}>
          <Countdown at={next_at} />
          {expires_at && !short && (
            <>
              ,{" "}
              <span className="quiet">
                {t("message.givesUp", { time: absolute(Date.parse(expires_at)) })}
              </span>
            </>
          )}
        </span>
      )}
    </p>
  );
}

/** What people did with it, as far as that is tracked. */
function Read({ recipient }: { recipient: Recipient }) {
  const { t } = useTranslation();
  const { opened_at, opens, clicked_at, clicks } = recipient;
  if (!opened_at && !clicked_at) return null;
  return (
    <p className={classes.why}>
      {opened_at && (
        <span>
          {t("message.opened", { count: opens, n: count(opens) })} <Ago at={opened_at} />
        </span>
      )}
      {opened_at && clicked_at && " · "}
      {clicked_at && (
        <span>
          {t("message.clicked", { count: clicks, n: count(clicks) })} <Ago at={clicked_at} />
        </span>
      )}
    </p>
  );
}

type Worded =
  | "scheduled"
  | "queued"
  | "deferred"
  | "delivered"
  | "bounced"
  | "expired"
  | "cancelled"
  | "suppressed"
  | "held";
const WORDS: Record<Worded, true> = {
  scheduled: true,
  queued: true,
  deferred: true,
  delivered: true,
  bounced: true,
  expired: true,
  cancelled: true,
  suppressed: true,
  held: true,
};

function Countdown({ at }: { at: string }) {
  const { t } = useTranslation();
  const now = useNow();
  const left = Date.parse(at) - now;
  return (
    <time dateTime={at} title={absolute(Date.parse(at))}>
      {left > 0 ? t("message.nextTry", { time: span(left) }) : t("message.nextNow")}
    </time>
  );
}

function tone(outcome: string): string {
  return isKnown(outcome) ? LOOKS[outcome].tone : "grey";
}

function TimeLine({ accepted, recipient }: { accepted: string; recipient: Recipient }) {
  const { t } = useTranslation();
  const line = timeline(accepted, recipient);
  if (!line) return null;
  const text = t("message.timelineText", {
    from: absolute(line.from),
    to: absolute(line.to),
    n: count(recipient.attempts.length),
  });
  return (
    <div className={classes.timeline} role="img" aria-label={`${t("message.timeline")}. ${text}`}>
      {line.marks.map((mark) => (
        <i
          key={mark.number}
          data-kind={mark.kind}
          data-tone={tone(mark.outcome)}
          style={{ insetInlineStart: `${mark.at * 100}%` }}
        />
      ))}
    </div>
  );
}

function Try({ message, ordinal, attempt }: { message: string; ordinal: number; attempt: Attempt }) {
  const { t } = useTranslation();
  const { code, enhanced, reply, host, ip, tls } = attempt;
  const where = [host, ip && ip !== host ? ip : null].filter(Boolean).join(" ");
  const raw = asItCame(code, enhanced, reply);
  return (
    <li className={classes.attempt}>
      <div className={classes.attemptHead}>
        <State state={attempt.outcome} plain />
        <span>{t("message.attempt", { n: count(attempt.number) })}</span>
        <Ago at={attempt.at} />
        <span className="quiet">
          {[
            where,
            tls ?? (ip && t("message.tlsNone")),
            t("message.took", { time: took(attempt.duration_ms) }),
          ]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </div>
      {raw && (
        <p className={classes.reply} title={t("message.rawReply")}>
          {raw}
        </p>
      )}
      {host && <Conversation message={message} ordinal={ordinal} number={attempt.number} />}
    </li>
  );
}
