/** How long the account's mail is kept: what holds, and another choice. */
import { Button, Group, NumberInput, Paper, Stack, Text } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { session } from "../../api/queries";
import { chooseRetention, retention } from "../../api/statistics";
import type { Retention as Kept } from "../../api/types";
import { count } from "../../format/number";
import { useAct } from "../../parts/act";
import { confirm } from "../../parts/confirm";
import { FormFault } from "../../parts/Feedback";
import { Section } from "../../parts/Page";
import classes from "./Account.module.css";

export function Retention() {
  const { t } = useTranslation();
  const kept = useQuery(retention).data;
  const mayChoose = useQuery(session).data?.login.scopes.includes("account") === true;
  if (!kept) return null;
  const holds = t("retention.holds", {
    content: count(kept.content_days),
    messages: count(kept.message_days),
  });
  return (
    <Section title={t("retention.title")} hint={t("retention.hint")}>
      <Paper className={classes.card}>
        <Stack gap="sm" maw={420}>
          <Text size="sm">{holds}</Text>
          {mayChoose && <Choosing kept={kept} />}
        </Stack>
      </Paper>
    </Section>
  );
}

const days = (value: string | number) => (value === "" ? null : Number(value));

function Choosing({ kept }: { kept: Kept }) {
  const { t } = useTranslation();
  const form = useForm<{ content: string | number; messages: string | number }>({
    initialValues: { content: kept.own.content_days ?? "", messages: kept.own.message_days ?? "" },
  });
  const choose = useAct({
    run: ({ content, messages }: typeof form.values) =>
      chooseRetention({ content_days: days(content), message_days: days(messages) }),
    stale: [["retention"]],
    silent: true,
    said: () => t("retention.saved"),
  });
  const faults = choose.error instanceof ApiError ? choose.error.fields : {};
  const ask = (values: typeof form.values) => {
    const [content, messages] = [days(values.content), days(values.messages)];
    const shorter =
      (content ?? kept.content_days) < kept.content_days ||
      (messages ?? kept.message_days) < kept.message_days;
    if (!shorter) return choose.mutate(values);
    confirm({
      title: t("retention.askTitle"),
      text: t("retention.text", {
        content: count(content ?? kept.content_days),
        messages: count(messages ?? kept.message_days),
      }),
      yes: t("retention.yes"),
      act: () => choose.mutate(values),
    });
  };
  return (
    <form onSubmit={form.onSubmit(ask)}>
      <Stack gap="sm">
        <NumberInput
          label={t("retention.content")}
          description={t("retention.contentHint", { n: count(kept.most_content_days) })}
          min={0}
          max={kept.most_content_days}
          allowDecimal={false}
          hideControls
          {...form.getInputProps("content")}
          error={faults.content_days}
        />
        <NumberInput
          label={t("retention.messages")}
          description={t("retention.messagesHint", {
            least: count(kept.least_message_days),
            n: count(kept.most_message_days),
          })}
          min={kept.least_message_days}
          max={kept.most_message_days}
          allowDecimal={false}
          hideControls
          {...form.getInputProps("messages")}
          error={faults.message_days}
        />
        <FormFault error={choose.error} />
        <Group>
          <Button type="submit" loading={choose.isPending}>
            {t("retention.save")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
