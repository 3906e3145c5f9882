/** One template: what it says, data to try it with, and what becomes of both. */
import { Button, Group, JsonInput, Paper, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { session } from "../../api/queries";
import { changeTemplate, deleteTemplate, previewTemplate, template } from "../../api/templates";
import type { PreviewTemplate, Template, TemplatePreview } from "../../api/types";
import { useAct } from "../../parts/act";
import { confirm } from "../../parts/confirm";
import { Failure, FormFault, Lines } from "../../parts/Feedback";
import { Page, Section } from "../../parts/Page";
import { exampleData } from "./exampleData";
import classes from "./TemplatePage.module.css";

export function Component() {
  const { t } = useTranslation();
  const { name } = useParams({ strict: false }) as { name: string };
  const query = useQuery(template(name));
  return (
    <Page title={name} back={{ to: "/templates", label: t("templates.title") }}>
      {query.error && <Failure error={query.error} again={() => void query.refetch()} />}
      {!query.data && !query.error && <Lines n={8} />}
      {query.data && <Editing key={name} template={query.data} />}
    </Page>
  );
}

function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text.trim() === "" ? "{}" : text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function Editing({ template }: { template: Template }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const mayChange = useQuery(session).data?.login.scopes.includes("send") === true;
  const { name } = template;
  const form = useForm({
    initialValues: {
      subject: template.subject,
      text: template.text,
      html: template.html,
      data: exampleData(`${template.subject}\n${template.text}\n${template.html}`),
    },
    validate: { data: (data) => (objectOf(data) ? null : t("templates.notJson")) },
  });
  const save = useAct({
    run: ({ subject, text, html }: typeof form.values) => changeTemplate(name, { subject, text, html }),
    stale: [["templates"]],
    silent: true,
    said: () => t("templates.saved", { name }),
  });
  const preview = useAct({
    run: ({ subject, text, html, data }: typeof form.values) =>
      previewTemplate({ subject, text, html, data: (objectOf(data) ?? {}) as PreviewTemplate["data"] }),
    stale: [],
    silent: true,
  });
  const remove = useAct({
    run: () => deleteTemplate(name),
    stale: [["templates"]],
    said: () => t("templates.deleted", { name }),
    done: () => void navigate({ to: "/templates" }),
  });
  const fault = [save.error, preview.error].find((error) => error instanceof ApiError);
  const faults = fault instanceof ApiError ? fault.fields : {};
  const forget = () => {
    save.reset();
    preview.reset();
  };
  const ask = () =>
    confirm({
      title: t("templates.deleteTitle", { name }),
      text: t("templates.deleteText"),
      yes: t("templates.delete"),
      act: () => remove.mutate(),
    });
  return (
    <div className={classes.sides}>
      <Paper
        component="form"
        className={classes.form}
        onSubmit={form.onSubmit((values) => {
          forget();
          save.mutate(values);
        })}
      >
        <Stack gap="sm">
          <TextInput
            label={t("templates.subject")}
            description={t("templates.braces")}
            {...form.getInputProps("subject")}
            error={faults.subject}
          />
          <Textarea
            label={t("templates.text")}
            autosize
            minRows={4}
            maxRows={16}
            {...form.getInputProps("text")}
            error={faults.text}
          />
          <Textarea
            label={t("templates.html")}
            autosize
            minRows={6}
            maxRows={24}
            classNames={{ input: "mono" }}
            {...form.getInputProps("html")}
            error={faults.html}
          />
          <JsonInput
            label={t("templates.data")}
            description={t("templates.dataHint")}
            autosize
            minRows={3}
            maxRows={12}
            classNames={{ input: "mono" }}
            {...form.getInputProps("data")}
            error={form.errors.data ?? faults.data}
          />
          <FormFault error={save.error ?? preview.error} />
          <Group justify="space-between" gap="xs">
            {mayChange ? (
              <Button variant="default" color="red" onClick={ask} loading={remove.isPending}>
                {t("templates.delete")}
              </Button>
            ) : (
              <span />
            )}
            {mayChange && (
              <Group gap="xs">
                <Button
                  variant="default"
                  loading={preview.isPending}
                  onClick={() => {
                    if (form.validate().hasErrors) return;
                    forget();
                    preview.mutate(form.values);
                  }}
                >
                  {t("templates.preview")}
                </Button>
                <Button type="submit" loading={save.isPending}>
                  {t("templates.save")}
                </Button>
              </Group>
            )}
          </Group>
        </Stack>
      </Paper>
      <div className={classes.side}>
        <Section title={t("templates.previewTitle")}>
          <Preview filled={preview.data} />
        </Section>
      </div>
    </div>
  );
}

function Preview({ filled }: { filled: TemplatePreview | undefined }) {
  const { t } = useTranslation();
  if (!filled) return <Text c="dimmed">{t("templates.noPreview")}</Text>;
  return (
    <Stack gap="sm">
      <Text fw={600} dir="auto">
        {filled.subject}
      </Text>
      {filled.html !== "" && (
        // Nothing in it runs, and it loads nothing from elsewhere: the frame has no rights, and the console's policy holds in it.
        <iframe
          className={classes.html}
          sandbox=""
          srcDoc={filled.html}
          title={t("templates.previewFrame")}
        />
      )}
      {filled.text !== "" && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
        <section className={classes.text} dir="auto" tabIndex={0} aria-label={t("templates.text")}>
          <pre>{filled.text}</pre>
        </section>
      )}
    </Stack>
  );
}
