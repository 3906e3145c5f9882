/** Writes one mail and sends it the way every mail goes; then leads to its page. */
import { Anchor, Autocomplete, Button, Group, Paper, Stack, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { IconSend } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands, session, smtpSettings } from "../../api/queries";
import { useAct } from "../../parts/act";
import { FormFault } from "../../parts/Feedback";
import { Page } from "../../parts/Page";
import { addresses } from "./addresses";
import classes from "./Send.module.css";

export function Component() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const me = useQuery(session).data;
  const settings = useQuery(smtpSettings).data;
  const [withHtml, setWithHtml] = useState(false);
  const form = useForm({
    initialValues: {
      from: me?.login.email ?? "",
      to: me?.login.email ?? "",
      subject: t("send.subjectDefault") as string,
      text: t("send.textDefault") as string,
      html: "",
    },
    validate: {
      from: (from) => (from.trim() === "" ? t("send.needFrom") : null),
      to: (to) => (addresses(to).length === 0 ? t("send.needTo") : null),
    },
  });
  const send = useAct({
    run: ({ from, to, subject, text, html }: typeof form.values) =>
      commands.send({
        from: from.trim(),
        to: addresses(to),
        subject,
        text,
        ...(withHtml && html !== "" && { html }),
      }),
    stale: [["messages"], ["inbox"], ["session"], ["account"]],
    silent: true,
    said: () => t("send.following"),
    done: ({ id }) => void navigate({ to: "/messages/$id", params: { id } }),
  });
  const faults = send.error instanceof ApiError ? send.error.fields : {};
  return (
    <Page title={t("send.title")} intro={t("send.intro")} narrow>
      <Paper
        className={classes.card}
        component="form"
        onSubmit={form.onSubmit((values) => send.mutate(values))}
      >
        <Stack gap="sm">
          <Autocomplete
            label={t("send.from")}
            required
            data={settings?.senders.filter((sender) => !sender.startsWith("*")) ?? []}
            {...form.getInputProps("from")}
            error={form.errors.from ?? faults.from}
          />
          <TextInput
            label={t("send.to")}
            description={t("send.toHint")}
            required
            {...form.getInputProps("to")}
            error={form.errors.to ?? faults.to}
          />
          <TextInput label={t("send.subject")} {...form.getInputProps("subject")} error={faults.subject} />
          <Textarea
            label={t("send.text")}
            autosize
            minRows={5}
            maxRows={20}
            {...form.getInputProps("text")}
            error={faults.text}
          />
          {withHtml ? (
            <Html>
              {(ref) => (
                <Textarea
                  ref={ref}
                  label={t("send.html")}
                  autosize
                  minRows={5}
                  maxRows={20}
                  classNames={{ input: "mono" }}
                  {...form.getInputProps("html")}
                  error={faults.html}
                />
              )}
            </Html>
          ) : (
            <Anchor component="button" type="button" size="sm" ta="start" onClick={() => setWithHtml(true)}>
              {t("send.addHtml")}
            </Anchor>
          )}
          <FormFault error={send.error} />
          <Group justify="flex-end">
            <Button type="submit" loading={send.isPending} leftSection={<IconSend size={15} aria-hidden />}>
              {t("send.submit")}
            </Button>
          </Group>
        </Stack>
      </Paper>
    </Page>
  );
}

/** The field that was asked for is the one to type in. */
function Html({
  children,
}: {
  children: (ref: React.RefObject<HTMLTextAreaElement | null>) => React.ReactNode;
}) {
  const ref = useRef<HTMLTextAreaElement>(null);
  useEffect(() => ref.current?.focus(), []);
  return children(ref);
}
