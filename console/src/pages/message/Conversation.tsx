/** What was said with the other server in one attempt, unfolded on demand. */
import { Text, UnstyledButton } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { transcript } from "../../api/queries";
import { Failure, Lines } from "../../parts/Feedback";
import classes from "./Conversation.module.css";

interface Props {
  message: string;
  ordinal: number;
  number: number;
}

export function Conversation(props: Props) {
  const { t } = useTranslation();
  const [open, toggle] = useState(false);
  return (
    <div>
      <UnstyledButton className={classes.opener} aria-expanded={open} onClick={() => toggle(!open)}>
        <IconChevronRight size={14} aria-hidden data-open={open || undefined} />
        {t("message.conversation")}
      </UnstyledButton>
      {open && <Said {...props} />}
    </div>
  );
}

const MARKS = { we: "C", they: "S", note: "" } as const;

function Said({ message, ordinal, number }: Props) {
  const { t } = useTranslation();
  const query = useQuery(transcript(message, ordinal, number));
  if (query.error instanceof ApiError && query.error.status === 404)
    return (
      <Text size="sm" c="dimmed">
        {t("message.noConversation")}
      </Text>
    );
  if (query.error) return <Failure error={query.error} again={() => void query.refetch()} />;
  if (!query.data) return <Lines n={4} />;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section className={classes.said} tabIndex={0} aria-label={t("message.conversation")}>
      <table>
        <thead className={classes.heard}>
          <tr>
            <th>{t("message.saidAt")}</th>
            <th>{t("message.saidBy")}</th>
            <th>{t("message.said")}</th>
          </tr>
        </thead>
        <tbody>
          {query.data.lines.map((line, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: lines repeat, and their order is their identity
            <tr key={i} data-by={line.by}>
              <td className={classes.at}>{t("message.saidMs", { n: line.at_ms })}</td>
              <td className={classes.by}>
                <span aria-hidden>{MARKS[line.by]}</span>
                <span className={classes.heard}>{t(`message.speakers.${line.by}`)}</span>
              </td>
              <td>{line.text}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Text size="xs" c="dimmed" className={classes.note}>
        {t("message.conversationNote")}
      </Text>
    </section>
  );
}
