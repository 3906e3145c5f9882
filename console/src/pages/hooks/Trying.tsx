/** Trying a hook out on a pasted or a stored message: what it would decide and change, its log, its time. */
import { Button, Group, Input, Select, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { testHook } from "../../api/hooks";
import type { HookKind, HookTrace, TestHook } from "../../api/types";
import { count, size } from "../../format/number";
import { useAct } from "../../parts/act";
import { type Fact, Facts } from "../../parts/Facts";
import { FormFault } from "../../parts/Feedback";
import { Section } from "../../parts/Page";
import classes from "./hooks.module.css";
import { Outcome } from "./Outcome";
import { SAMPLE } from "./words";

type Stage = NonNullable<TestHook["stage"]>;
const STAGES: Stage[] = ["message", "rcpt", "mail"];

interface Props {
  kind: HookKind;
  body: string;
  hook?: string;
  /** Shows in the editor where it went wrong. */
  mark: (fault: { line: number; message: string } | undefined) => void;
}

export function Trying({ kind, body, hook, mark }: Props) {
  const { t } = useTranslation();
  const [stage, setStage] = useState<Stage>("message");
  const [message, setMessage] = useState(SAMPLE);
  const [id, setId] = useState("");
  const [recipients, setRecipients] = useState("bob@example.net");
  const test = useAct({
    run: () =>
      testHook({
        kind,
        body,
        ...(kind === "http" && hook && { hook }),
        stage,
        ...(id.trim() === "" ? { message } : { message_id: id.trim() }),
        recipients: recipients
          .split(/[,;\s]+/)
          .map((one) => one.trim())
          .filter((one) => one !== ""),
      }),
    stale: [],
    silent: true,
    done: (trace) => mark(trace.line && trace.error ? { line: trace.line, message: trace.error } : undefined),
  });
  const faults = test.error instanceof ApiError ? test.error.fields : {};
  return (
    <Section title={t("hooks.try")} hint={t("hooks.tryHint")}>
      <div className={classes.form}>
        <div className={classes.fields}>
          <Select
            label={t("hooks.stage")}
            allowDeselect={false}
            value={stage}
            onChange={(value) => setStage(STAGES.find((one) => one === value) ?? "message")}
            data={STAGES.map((value) => ({ value, label: t(`hooks.stages.${value}`) }))}
            error={faults.stage}
          />
          <TextInput
            label={t("hooks.recipients")}
            description={t("hooks.recipientsHint")}
            value={recipients}
            onChange={(event) => setRecipients(event.currentTarget.value)}
            error={faults.recipients}
          />
          <TextInput
            label={t("hooks.messageId")}
            description={t("hooks.messageIdHint")}
            value={id}
            onChange={(event) => setId(event.currentTarget.value)}
          />
        </div>
        <Textarea
          label={t("hooks.message")}
          autosize
          minRows={5}
          maxRows={14}
          disabled={id.trim() !== ""}
          classNames={{ input: "mono" }}
          value={message}
          onChange={(event) => setMessage(event.currentTarget.value)}
          error={faults.message}
        />
        {faults.body && <Input.Error>{faults.body}</Input.Error>}
        <FormFault error={test.error} />
        <Group>
          <Button variant="default" loading={test.isPending} onClick={() => test.mutate()}>
            {t("hooks.run")}
          </Button>
        </Group>
        {test.data && <Trace trace={test.data} />}
      </div>
    </Section>
  );
}

function Trace({ trace }: { trace: HookTrace }) {
  const { t } = useTranslation();
  const error = trace.line ? `${t("hooks.line", { n: trace.line })}: ${trace.error}` : trace.error;
  const facts: Fact[] = [
    [t("hooks.outcome"), <Outcome key="o" text={trace.outcome} />],
    error ? [t("hooks.error"), error] : null,
    [
      t("hooks.reply"),
      trace.reply ? (
        <span key="r" className="mono">
          {trace.reply}
        </span>
      ) : (
        t("hooks.noReply")
      ),
    ],
    trace.actions.length > 0 && [
      t("hooks.actions"),
      <pre key="a" className={classes.log}>
        {trace.actions.join("\n")}
      </pre>,
    ],
    trace.log.length > 0 && [
      t("hooks.log"),
      <pre key="l" className={classes.log}>
        {trace.log.join("\n")}
      </pre>,
    ],
    [t("hooks.duration"), `${(trace.duration_us / 1000).toFixed(2)} ms`],
    kind(trace) && [t("hooks.steps"), count(trace.steps)],
    kind(trace) && [t("hooks.memory"), size(trace.memory)],
  ];
  return (
    <section aria-label={t("hooks.trace")} aria-live="polite">
      <Facts facts={facts} />
    </section>
  );
}

/** Only a script takes memory of its own. */
const kind = (trace: HookTrace) => trace.memory > 0;
