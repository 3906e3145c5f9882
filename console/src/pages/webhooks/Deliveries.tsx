/** What a webhook was told: the list, one delivery with its attempts, and sending it again. */
import { Button, Group, Modal, Select, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import type { Webhook, WebhookAttempt, WebhookDelivery } from "../../api/types";
import { deliveries, delivery as deliveryQuery, replayDelivery, replayRange } from "../../api/webhooks";
import { count } from "../../format/number";
import { useAct } from "../../parts/act";
import { CodeBlock } from "../../parts/Copy";
import { actColumn, agoColumn } from "../../parts/columns";
import type { Column } from "../../parts/DataTable";
import { Empty, Failure, Lines } from "../../parts/Feedback";
import { Filters } from "../../parts/Filters";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { May } from "../../parts/May";
import { Section } from "../../parts/Page";
import { usePaging } from "../../parts/paging";
import { State } from "../../parts/State";
import { Ago, When } from "../../parts/Time";
import { DELIVERY_STATES } from "./words";

const route = getRouteApi("/frame/webhooks/$id");

export function Deliveries({ webhook }: { webhook: Webhook }) {
  const { t } = useTranslation();
  const { state, after } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(deliveries(webhook.id, { ...(state && { state }), ...(after && { after }) }));
  const [opened, open] = useState<WebhookDelivery>();
  const [ranging, range] = useDisclosure();
  const paging = usePaging(query.data?.next, after, (to, options) =>
    navigate({ search: { ...(state && { state }), ...(to && { after: to }) }, ...options }),
  );
  return (
    <Section
      title={t("webhooks.deliveries")}
      hint={t("webhooks.deliveriesHint")}
      action={
        <May scope="account">
          <Button variant="default" size="xs" disabled={webhook.paused !== null} onClick={range.open}>
            {t("webhooks.replayRange")}
          </Button>
        </May>
      }
    >
      <Filters>
        <Select
          aria-label={t("webhooks.state")}
          placeholder={t("webhooks.anyState")}
          data={DELIVERY_STATES.map((one) => ({ value: one, label: t(`state.${one}`) }))}
          value={state ?? null}
          clearable
          onChange={(value) => {
            const chosen = DELIVERY_STATES.find((one) => one === value);
            void navigate({ search: chosen ? { state: chosen } : {} });
          }}
        />
      </Filters>
      <List
        id="webhook-deliveries"
        label={t("webhooks.deliveries")}
        columns={useColumns(open)}
        query={query}
        paging={paging}
        empty={
          <Empty
            title={t("webhooks.deliveriesEmpty")}
            hint={state ? "" : t("webhooks.deliveriesEmptyHint")}
          />
        }
      />
      {opened && <One webhook={webhook} row={opened} close={() => open(undefined)} />}
      <Ranging webhook={webhook} opened={ranging} close={range.close} />
    </Section>
  );
}

function useColumns(open: (row: WebhookDelivery) => void): Column<WebhookDelivery>[] {
  const { t } = useTranslation();
  return [
    {
      id: "type",
      header: t("webhooks.type"),
      wide: true,
      cell: (row) => row.type,
      text: (row) => row.type,
    },
    {
      id: "event",
      header: "webhook-id",
      need: 3,
      cell: (row) => <span className="mono">{row.event}</span>,
      text: (row) => row.event,
    },
    {
      id: "state",
      header: t("webhooks.state"),
      cell: (row) => <State state={row.state} />,
      text: (row) => row.state,
    },
    {
      id: "attempts",
      header: t("webhooks.attempts"),
      numeric: true,
      need: 2,
      cell: (row) => count(row.attempts),
      text: (row) => row.attempts,
    },
    {
      id: "next",
      header: t("webhooks.next"),
      numeric: true,
      need: 3,
      cell: (row) => (row.next_at ? <When at={row.next_at} /> : null),
      text: (row) => row.next_at ?? "",
    },
    agoColumn({ id: "at", header: t("webhooks.at"), need: 2, at: (row) => row.created_at }),
    actColumn({ id: "look", label: t("webhooks.look"), name: (row) => row.event, act: open }),
  ];
}

function One({ webhook, row, close }: { webhook: Webhook; row: WebhookDelivery; close: () => void }) {
  const { t } = useTranslation();
  const query = useQuery(deliveryQuery(webhook.id, row.id));
  const replay = useAct({
    run: () => replayDelivery(webhook.id, row.id),
    stale: [["webhooks"]],
    said: () => t("webhooks.replayed"),
  });
  const found = query.data;
  return (
    <Modal
      opened
      onClose={close}
      size="lg"
      title={t("webhooks.delivery", { type: row.type, event: row.event })}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      {!found &&
        (query.error ? <Failure error={query.error} again={() => void query.refetch()} /> : <Lines n={6} />)}
      {found && (
        <Stack gap="sm">
          <Group justify="space-between">
            <State state={found.delivery.state} />
            {found.delivery.state !== "waiting" && webhook.paused === null && (
              <May scope="account">
                <Button size="xs" loading={replay.isPending} onClick={() => replay.mutate()}>
                  {t("webhooks.replay")}
                </Button>
              </May>
            )}
          </Group>
          {found.attempts.length === 0 && <Text c="dimmed">{t("webhooks.noAttempts")}</Text>}
          {found.attempts.map((attempt) => (
            <Attempt key={attempt.number} attempt={attempt} />
          ))}
          <Text fw={600}>{t("webhooks.payload")}</Text>
          <CodeBlock text={pretty(found.payload)} what={t("webhooks.payload")} />
        </Stack>
      )}
    </Modal>
  );
}

function Attempt({ attempt }: { attempt: WebhookAttempt }) {
  const { t } = useTranslation();
  return (
    <Stack gap={4}>
      <Group gap="sm">
        <Text fw={600}>{t("webhooks.attempt", { n: count(attempt.number) })}</Text>
        <span className="quiet">
          <Ago at={attempt.at} />, {t("webhooks.took", { n: count(attempt.duration_ms) })}
        </span>
      </Group>
      {attempt.status === null ? (
        <Text>{attempt.problem}</Text>
      ) : (
        <Text>
          {t("webhooks.status")} {attempt.status}
        </Text>
      )}
      {attempt.status !== null &&
        (attempt.answer ? (
          <CodeBlock text={attempt.answer} what={t("webhooks.answer")} />
        ) : (
          <Text c="dimmed" size="sm">
            {t("webhooks.noAnswer")}
          </Text>
        ))}
    </Stack>
  );
}

/** JSON for people; what is none is shown as it is. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Ranging({ webhook, opened, close }: { webhook: Webhook; opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const needed = (value: string) => (value === "" ? t("webhooks.needTime") : null);
  const form = useForm({
    initialValues: { since: "", until: "" },
    validate: { since: needed, until: needed },
  });
  const replay = useAct({
    run: ({ since, until }: typeof form.values) =>
      replayRange(webhook.id, new Date(since).toISOString(), new Date(until).toISOString()),
    stale: [["webhooks"]],
    silent: true,
    said: (_, n) => t("webhooks.rangeReplayed", { count: n, n: count(n) }),
    done: close,
  });
  const faults = replay.error instanceof ApiError ? replay.error.fields : {};
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("webhooks.replayRange")}
      onSubmit={form.onSubmit((values) => replay.mutate(values))}
      submit={t("webhooks.replay")}
      busy={replay.isPending}
      fault={replay.error}
    >
      <Text size="sm">{t("webhooks.replayRangeHint")}</Text>
      {(["since", "until"] as const).map((name) => (
        <TextInput
          key={name}
          type="datetime-local"
          label={t(`webhooks.${name}`)}
          required
          {...form.getInputProps(name)}
          error={form.errors[name] ?? faults[name]}
        />
      ))}
    </FormDialog>
  );
}
