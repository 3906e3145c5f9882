/** The SMTP settings of this very installation, ready to be copied into any program. */
import { Alert, Paper, Tabs, Text } from "@mantine/core";
import { IconCertificate } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { smtpSettings } from "../../api/queries";
import type { SmtpSettings } from "../../api/types";
import { count, size } from "../../format/number";
import { absolute } from "../../format/time";
import { CodeBlock, CopyValue } from "../../parts/Copy";
import { Facts } from "../../parts/Facts";
import { Failure, Lines } from "../../parts/Feedback";
import { Page, Section } from "../../parts/Page";
import classes from "./Smtp.module.css";
import { PROGRAMS, snippet, values } from "./snippets";

export function Component() {
  const { t } = useTranslation();
  const query = useQuery(smtpSettings);
  return (
    <Page title={t("smtp.title")} intro={t("smtp.intro")}>
      {query.data ? (
        <Settings settings={query.data} />
      ) : query.error ? (
        <Failure error={query.error} again={() => void query.refetch()} />
      ) : (
        <Lines n={10} />
      )}
    </Page>
  );
}

function Settings({ settings }: { settings: SmtpSettings }) {
  const { t } = useTranslation();
  return (
    <>
      <div className={classes.columns}>
        <Section title={t("smtp.forYou")}>
          <Paper className={classes.card}>
            <Facts
              facts={[
                [
                  t("smtp.server"),
                  <CopyValue key="h" value={settings.hostname} what={t("smtp.server")} mono />,
                ],
                ...settings.ports.map(({ port, security }, i): [string, React.ReactNode] => [
                  i === 0 ? t("smtp.port") : `${t("smtp.or")} ${t("smtp.port").toLowerCase()} ${port}`,
                  <span key={port} className={classes.port}>
                    <CopyValue value={String(port)} what={`${t("smtp.port")} ${port}`} mono />
                    <span>{t(`smtp.securities.${security}`)}</span>
                  </span>,
                ]),
                [
                  t("smtp.username"),
                  <CopyValue key="u" value={settings.username} what={t("smtp.username")} mono />,
                ],
                [
                  t("smtp.password"),
                  <span key="w">
                    {t("smtp.passwordIs")} <Link to="/smtp-credentials">{t("smtp.credentials")}</Link>
                  </span>,
                ],
                [t("smtp.mechanisms"), settings.mechanisms.join(", ")],
              ]}
            />
            {settings.mechanisms.includes("SCRAM-SHA-256") && (
              <Text c="dimmed" fz="sm">
                {t("smtp.scramHint")}
              </Text>
            )}
            {settings.ports.length === 0 && <Text c="dimmed">{t("smtp.noPort")}</Text>}
          </Paper>
        </Section>
        <Section title={t("smtp.limits")}>
          <Paper className={classes.card}>
            <Facts
              facts={[
                [
                  t("smtp.maxSize"),
                  <span key="s">
                    {size(settings.max_message_size)} <span className="quiet">{t("smtp.maxSizeHint")}</span>
                  </span>,
                ],
                [t("smtp.maxRecipients"), count(settings.max_recipients)],
                [t("smtp.senders"), <Senders key="f" senders={settings.senders} />],
              ]}
            />
          </Paper>
        </Section>
      </div>
      <Certificate settings={settings} />
      <Examples settings={settings} />
    </>
  );
}

function Senders({ senders }: { senders: string[] }) {
  const { t } = useTranslation();
  return (
    <>
      <ul className={classes.senders}>
        {senders.map((sender) => (
          <li key={sender}>
            {sender.startsWith("*@") ? t("smtp.anyAt", { domain: sender.slice(2) }) : <bdi>{sender}</bdi>}
          </li>
        ))}
      </ul>
      <Text size="xs" c="dimmed">
        {t("smtp.sendersHint")} <Link to="/domains">{t("smtp.addDomain")}</Link>
      </Text>
    </>
  );
}

function Certificate({ settings }: { settings: SmtpSettings }) {
  const { t } = useTranslation();
  const { certificate } = settings;
  if (!certificate) return null;
  const facts = (
    <Facts
      facts={[
        [
          t("smtp.fingerprint"),
          <CopyValue key="f" value={certificate.fingerprint_sha256} what={t("smtp.fingerprint")} mono />,
        ],
        [t("smtp.validUntil"), absolute(Date.parse(certificate.not_after))],
        [t("smtp.names"), certificate.names.join(", ")],
      ]}
    />
  );
  return (
    <Section title={t("smtp.certificate")}>
      {certificate.self_signed ? (
        <Alert
          variant="outline"
          color="yellow"
          classNames={{ root: classes.selfSigned, title: classes.selfSignedTitle }}
          icon={<IconCertificate aria-hidden />}
          title={t("smtp.selfSigned")}
        >
          <Text mb="xs">{t("smtp.selfSignedHint")}</Text>
          {facts}
        </Alert>
      ) : (
        <Paper className={classes.card}>{facts}</Paper>
      )}
    </Section>
  );
}

function Examples({ settings }: { settings: SmtpSettings }) {
  const { t } = useTranslation();
  const filled = values(settings, t("smtp.yourPassword"));
  if (!filled) return null;
  return (
    <Section title={t("smtp.examples")} hint={t("smtp.examplesHint")}>
      <Tabs defaultValue="swaks" keepMounted={false}>
        <Tabs.List>
          {PROGRAMS.map((program) => (
            <Tabs.Tab key={program} value={program}>
              {t(`smtp.snippets.${program}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {PROGRAMS.map((program) => (
          <Tabs.Panel key={program} value={program} pt="sm">
            <Text c="dimmed" mb="xs">
              {t(`smtp.snippetHint.${program}`)}
            </Text>
            <CodeBlock text={snippet(program, filled)} what={t(`smtp.snippets.${program}`)} />
          </Tabs.Panel>
        ))}
      </Tabs>
    </Section>
  );
}
