/** What is inside a mail: its HTML in a sandboxed frame, text, headers, source. */
import { Button, Tabs, Text } from "@mantine/core";
import { IconDownload, IconPaperclip } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { type ContentOf, content, session, source } from "../api/queries";
import type { Content as Parsed } from "../api/types";
import { size } from "../format/number";
import classes from "./Content.module.css";
import { Empty, Failure, Lines } from "./Feedback";

interface Props {
  of: ContentOf;
  id: string;
  /** A further tab, shown last. */
  more?: { id: string; label: string; panel: ReactNode };
}

/** What is inside, or, to an operator who sees the console as the account, that it is not shown. */
export function Content({ of, id, more }: Props) {
  const { t } = useTranslation();
  const me = useQuery(session).data;
  if (!me?.impersonation) return <Inside of={of} id={id} {...(more && { more })} />;
  return (
    <>
      <Empty title={t("impersonation.content")} hint={t("impersonation.contentHint")} />
      {more?.panel}
    </>
  );
}

function Inside({ of, id, more }: Props) {
  const { t } = useTranslation();
  const parsed = useQuery(content(of, id));
  const [picked, pick] = useState<string | null>(null);
  if (parsed.error) return <Failure error={parsed.error} again={() => void parsed.refetch()} />;
  if (!parsed.data) return <Lines n={6} />;
  const tab = picked ?? (parsed.data.html ? "html" : "text");
  return (
    <>
      <Tabs value={tab} onChange={pick} keepMounted={false} className={classes.tabs}>
        <Tabs.List>
          <Tabs.Tab value="html">{t("message.tabs.html")}</Tabs.Tab>
          <Tabs.Tab value="text">{t("message.tabs.text")}</Tabs.Tab>
          <Tabs.Tab value="headers">{t("message.tabs.headers")}</Tabs.Tab>
          <Tabs.Tab value="source">{t("message.tabs.source")}</Tabs.Tab>
          {more && <Tabs.Tab value={more.id}>{more.label}</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="html" pt="sm">
          <Html of={of} id={id} has={parsed.data.html} />
        </Tabs.Panel>
        <Tabs.Panel value="text" pt="sm">
          <PlainText text={parsed.data.text} />
        </Tabs.Panel>
        <Tabs.Panel value="headers" pt="sm">
          <Headers headers={parsed.data.headers} />
        </Tabs.Panel>
        <Tabs.Panel value="source" pt="sm">
          <Source of={of} id={id} />
        </Tabs.Panel>
        {more && (
          <Tabs.Panel value={more.id} pt="sm">
            {more.panel}
          </Tabs.Panel>
        )}
      </Tabs>
      <Attachments files={parsed.data.attachments} />
    </>
  );
}

function Html({ of, id, has }: { of: ContentOf; id: string; has: boolean }) {
  const { t } = useTranslation();
  if (!has) return <Text c="dimmed">{t("message.noHtml")}</Text>;
  return (
    <>
      <iframe
        className={classes.html}
        sandbox=""
        src={`/api/v1/${of}/${id}/html`}
        title={t("message.htmlFrame")}
      />
      <Text size="xs" c="dimmed">
        {t("message.htmlNote")}
      </Text>
    </>
  );
}

function PlainText({ text }: { text?: string | null }) {
  const { t } = useTranslation();
  if (text === null || text === undefined) return <Text c="dimmed">{t("message.noText")}</Text>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section className={classes.text} dir="auto" tabIndex={0} aria-label={t("message.tabs.text")}>
      <pre>{text}</pre>
    </section>
  );
}

function Headers({ headers }: { headers: Parsed["headers"] }) {
  return (
    <dl className={classes.headers}>
      {headers.map(({ name, value }, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: headers repeat, and their order is their identity
        <div key={i}>
          <dt>{name}</dt>
          <dd dir="auto">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A page must stay usable with a mail of 25 MiB; more than this much is for the saved file. */
const SOURCE_SHOWN = 256 * 1024;

function Source({ of, id }: { of: ContentOf; id: string }) {
  const { t } = useTranslation();
  const raw = useQuery(source(of, id));
  if (raw.error) return <Failure error={raw.error} again={() => void raw.refetch()} />;
  if (raw.data === undefined) return <Lines n={8} />;
  const long = raw.data.length > SOURCE_SHOWN;
  return (
    <>
      <div className={classes.acts}>
        {long && (
          <Text size="xs" c="dimmed">
            {t("message.sourceLong", { shown: size(SOURCE_SHOWN), size: size(raw.data.length) })}
          </Text>
        )}
        <Button
          component="a"
          href={`/api/v1/${of}/${id}/source`}
          download={`${id}.eml`}
          size="xs"
          variant="default"
          leftSection={<IconDownload size={14} aria-hidden />}
        >
          {t("message.download")}
        </Button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <section className={classes.source} tabIndex={0} aria-label={t("message.tabs.source")}>
        <pre>{long ? raw.data.slice(0, SOURCE_SHOWN) : raw.data}</pre>
      </section>
    </>
  );
}

function Attachments({ files }: { files: Parsed["attachments"] }) {
  const { t } = useTranslation();
  if (files.length === 0) return null;
  return (
    <ul className={classes.files} aria-label={t("message.attachments")}>
      {files.map((file, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: attachments may share a name, and their order is their identity
        <li key={i}>
          <IconPaperclip size={15} aria-hidden />
          <bdi>{file.name ?? t("message.unnamed")}</bdi>
          <span className="quiet">
            {file.content_type}, {size(file.size)}
          </span>
        </li>
      ))}
    </ul>
  );
}
