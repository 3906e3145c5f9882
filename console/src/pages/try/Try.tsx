/** Sends one request of the API for real, with a key or as whoever is signed in, and shows what came back. */
import {
  Anchor,
  Button,
  Group,
  JsonInput,
  Paper,
  PasswordInput,
  Select,
  Stack,
  Text,
  TextInput,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Failure, Lines } from "../../parts/Feedback";
import { Page, Section } from "../../parts/Page";
import { type Described, example, type Operation, operations, url } from "./operations";
import classes from "./Try.module.css";

const route = getRouteApi("/frame/try");

export function Component() {
  const { t } = useTranslation();
  const query = useQuery({
    queryKey: ["openapi"],
    queryFn: async () => (await (await fetch("/api/v1/openapi.json")).json()) as Described,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <Page
      title={t("tryApi.title")}
      intro={
        <>
          {t("tryApi.intro")}{" "}
          <Anchor href="/docs/api/" target="_blank" rel="noopener" underline="always">
            {t("tryApi.reference")}
          </Anchor>
        </>
      }
      narrow
    >
      {query.error ? (
        <Failure error={query.error} again={() => void query.refetch()} />
      ) : query.data ? (
        <Choosing described={query.data} />
      ) : (
        <Lines n={6} />
      )}
    </Page>
  );
}

function Choosing({ described }: { described: Described }) {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const all = operations(described);
  const chosen = all.find(({ id }) => id === search.operation) ?? all.find(({ id }) => id === "getAccount");
  return (
    <>
      <Select
        label={t("tryApi.operation")}
        searchable
        allowDeselect={false}
        value={chosen?.id ?? null}
        onChange={(operation) => void navigate({ search: operation ? { operation } : {} })}
        data={all.map(({ id, method, path, title }) => ({
          value: id,
          label: `${title} · ${method.toUpperCase()} ${path}`,
        }))}
      />
      {chosen && <Request key={chosen.id} operation={chosen} described={described} />}
    </>
  );
}

interface Came {
  status: string;
  took: number;
  rest: { left: string; limit: string } | undefined;
  body: string;
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Request({ operation, described }: { operation: Operation; described: Described }) {
  const { t } = useTranslation();
  const [values, setValues] = useState<Record<string, string>>({});
  const [body, setBody] = useState(() =>
    operation.body ? JSON.stringify(example(described, operation.body), null, 2) : "",
  );
  const [key, setKey] = useState("");
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [came, setCame] = useState<Came>();

  async function send() {
    if (operation.body) {
      try {
        JSON.parse(body);
      } catch {
        setFault(t("tryApi.notJson"));
        return;
      }
    }
    setFault(undefined);
    setBusy(true);
    const begun = performance.now();
    try {
      const headers: Record<string, string> = {};
      if (operation.body) headers["Content-Type"] = "application/json";
      if (key) headers.Authorization = `Bearer ${key}`;
      for (const { name, place } of operation.parameters)
        if (place === "header" && values[name]) headers[name] = values[name];
      const answer = await fetch(`/api/v1${url(operation, values)}`, {
        method: operation.method.toUpperCase(),
        headers,
        credentials: key ? "omit" : "same-origin",
        ...(operation.body && { body }),
      });
      const [limit, left] = [
        answer.headers.get("RateLimit-Limit"),
        answer.headers.get("RateLimit-Remaining"),
      ];
      setCame({
        status: `${answer.status} ${answer.statusText}`.trim(),
        took: Math.round(performance.now() - begun),
        rest: limit && left ? { limit, left } : undefined,
        body: pretty(await answer.text()),
      });
    } catch {
      setCame({ status: t("tryApi.unreachable"), took: 0, rest: undefined, body: "" });
    }
    setBusy(false);
  }

  return (
    <>
      <Paper
        className={classes.card}
        component="form"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <Stack gap="sm">
          <Text className="mono" size="sm">
            {operation.method.toUpperCase()} /api/v1{operation.path}
          </Text>
          {operation.parameters.map(({ name, required, hint }) => (
            <TextInput
              key={name}
              label={name}
              description={hint}
              required={required}
              value={values[name] ?? ""}
              onChange={(event) => setValues({ ...values, [name]: event.currentTarget.value })}
            />
          ))}
          {operation.body && (
            <JsonInput
              label={t("tryApi.body")}
              autosize
              minRows={4}
              maxRows={24}
              classNames={{ input: "mono" }}
              value={body}
              onChange={setBody}
              error={fault}
            />
          )}
          <PasswordInput
            label={t("tryApi.key")}
            description={t("tryApi.keyHint")}
            autoComplete="off"
            value={key}
            onChange={(event) => setKey(event.currentTarget.value.trim())}
          />
          <Group justify="flex-end">
            <Button type="submit" loading={busy}>
              {t("tryApi.send")}
            </Button>
          </Group>
        </Stack>
      </Paper>
      {came && (
        <Section title={t("tryApi.answer")}>
          <Text role="status">
            <b>{came.status}</b>{" "}
            <span className="quiet">
              {[t("tryApi.took", { ms: came.took }), came.rest && t("tryApi.rest", came.rest)]
                .filter(Boolean)
                .join(" · ")}
            </span>
          </Text>
          {came.body === "" ? (
            <Text c="dimmed">{t("tryApi.nothing")}</Text>
          ) : (
            // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
            <section className={classes.answer} tabIndex={0} aria-label={t("tryApi.answer")}>
              <pre>{came.body}</pre>
            </section>
          )}
        </Section>
      )}
    </>
  );
}
