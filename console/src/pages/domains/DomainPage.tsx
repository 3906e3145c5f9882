/** One sending domain: the records to publish, and what was found of them. */
import { Alert, Anchor, Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import {
  IconCheck,
  IconCircleCheck,
  IconCircleX,
  IconHelpCircle,
  IconKey,
  IconRefresh,
  IconTrash,
} from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Fragment, type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { commands, domain as domainQuery } from "../../api/queries";
import type { Domain, DomainRecord } from "../../api/types";
import { useAct } from "../../parts/act";
import { Copy } from "../../parts/Copy";
import { confirm } from "../../parts/confirm";
import { Failure, Lines } from "../../parts/Feedback";
import { May } from "../../parts/May";
import { Page, Section } from "../../parts/Page";
import { State } from "../../parts/State";
import { Ago, When } from "../../parts/Time";
import classes from "./Domain.module.css";
import { DomainTracking } from "./DomainTracking";

const route = getRouteApi("/frame/domains/$id");

export function Component() {
  const { t } = useTranslation();
  const { id } = route.useParams();
  const query = useQuery(domainQuery(id));
  const back = { to: "/domains", label: t("nav.domains") } as const;
  if (!query.data) {
    return (
      <Page title={t("nav.domains")} back={back}>
        {query.error ? <Failure error={query.error} again={() => void query.refetch()} /> : <Lines n={8} />}
      </Page>
    );
  }
  return <Loaded domain={query.data} back={back} />;
}

function Loaded({ domain, back }: { domain: Domain; back: { to: "/domains"; label: string } }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const [removing, dialog] = useDisclosure();
  const check = useAct({
    run: () => commands.checkDomain(domain.id),
    stale: [["domains"], ["settings"]],
    done: (checked) => cache.setQueryData(domainQuery(domain.id).queryKey, checked),
  });
  const waiting = domain.records.some((record) => record.stage === "next");
  const renew = useAct({
    run: () => commands.renewDomainKeys(domain.id),
    stale: [["domains"]],
    said: () => t("domain.renewed"),
    done: (renewed) => cache.setQueryData(domainQuery(domain.id).queryKey, renewed),
  });
  const askToRenew = () =>
    confirm({
      title: t("domain.renewTitle", { name: domain.name }),
      text: t("domain.renewText"),
      yes: t("domain.renew"),
      danger: false,
      act: () => renew.mutate(),
    });
  return (
    <Page
      title={domain.name}
      back={back}
      intro={domain.state === "verified" ? t("domain.verifiedIntro") : t("domain.pendingIntro")}
      action={
        <May scope="domains">
          <Button variant="default" leftSection={<IconTrash size={15} aria-hidden />} onClick={dialog.open}>
            {t("common.remove")}
          </Button>
          <Button
            variant="default"
            leftSection={<IconKey size={15} aria-hidden />}
            disabled={waiting}
            loading={renew.isPending}
            onClick={askToRenew}
          >
            {t("domain.renew")}
          </Button>
          <Button
            leftSection={<IconRefresh size={15} aria-hidden />}
            loading={check.isPending}
            onClick={() => check.mutate()}
          >
            {t("domain.checkNow")}
          </Button>
        </May>
      }
    >
      <div className={classes.state}>
        <State state={domain.state} />
        <Checked domain={domain} />
      </div>
      {domain.missing_since && (
        <Alert color="yellow" icon={<IconCircleX size={16} aria-hidden />} title={t("domain.missingTitle")}>
          {t("domain.missingText")} <When at={domain.missing_since} />
        </Alert>
      )}
      <Section
        title={t("domains.records")}
        action={
          <Anchor href={`/api/v1/domains/${domain.id}/zone`} download size="sm">
            {t("domain.zone")}
          </Anchor>
        }
      >
        {domain.records.length === 0 && <Text c="dimmed">{t("domain.none")}</Text>}
        <Records domain={domain} />
      </Section>
      <DomainTracking domain={domain} />
      <Removing domain={domain} opened={removing} close={dialog.close} />
    </Page>
  );
}

/** Where the operator publishes keys for all, there are two ways to the same end, and each says so. */
function Records({ domain }: { domain: Domain }) {
  const { t } = useTranslation();
  const { records } = domain;
  const delegated = records.some((record) => record.purpose === "dkim_delegated");
  const begins: Record<string, string> = delegated
    ? {
        dkim_delegated: t("domain.byAlias"),
        dkim_rsa: t("domain.byOwnKey"),
        spf: t("domain.inBoth"),
      }
    : {};
  const keys = records.filter((record) => record.need === "one_of" && record.stage === "in_use");
  const alternatives = { n: keys.length, found: keys.some((record) => record.ok === true) };
  let told = "";
  return (
    <div className={classes.records}>
      {records.map((record) => {
        const heading = told === record.purpose ? undefined : begins[record.purpose];
        told = record.purpose;
        return (
          <Fragment key={`${record.purpose}${record.name}`}>
            {heading && <p className="quiet">{heading}</p>}
            <OneRecord record={record} keys={alternatives}>
              {record.purpose === "links" && <Certificate certificate={domain.links_certificate} />}
            </OneRecord>
          </Fragment>
        );
      })}
    </div>
  );
}

function Checked({ domain }: { domain: Domain }) {
  const { t } = useTranslation();
  return (
    <span className="quiet">
      {domain.verified_by === "operator" && <>{t("domain.verifiedOperator")}. </>}
      {domain.checked_at ? (
        <>
          {t("domains.checked")}: <Ago at={domain.checked_at} />
          {domain.resolver && <> {t("domain.by", { resolver: domain.resolver })}</>}
        </>
      ) : (
        t("domain.neverChecked")
      )}
    </span>
  );
}

const PURPOSES = [
  "dkim_delegated",
  "dkim_rsa",
  "dkim_ed25519",
  "dmarc",
  "spf",
  "return_path",
  "links",
  "bimi",
] as const;

/** The records of which one is enough: how many there are, and whether one is found. */
interface Keys {
  n: number;
  found: boolean;
}

function OneRecord({ record, keys, children }: { record: DomainRecord; keys: Keys; children: ReactNode }) {
  const { t } = useTranslation();
  const purpose = PURPOSES.find((one) => one === record.purpose);
  return (
    <article
      className={classes.record}
      aria-label={purpose ? t(`domain.purpose.${purpose}`) : record.purpose}
    >
      <header className={classes.head}>
        <h3>{purpose ? t(`domain.purpose.${purpose}`) : record.purpose}</h3>
        <span className="quiet">
          <Wanted record={record} keys={keys} />
        </span>
        <Verdict record={record} keys={keys} />
      </header>
      <dl className={classes.parts}>
        <dt>{t("domain.type")}</dt>
        <dd>
          <span className="mono">{record.type}</span>
        </dd>
        <dt>{t("domain.host")}</dt>
        <dd>
          <span className="mono">{record.name}</span>
          <Copy value={record.name} what={t("domain.host")} />
        </dd>
        <dt>{t("domain.value")}</dt>
        <dd>
          <span className="mono">{record.value}</span>
          <Copy value={record.value} what={t("domain.value")} />
        </dd>
        {record.ok === false && (
          <>
            <dt>{t("domain.foundInstead")}</dt>
            <dd className={classes.found}>
              {record.problem && <span>{record.problem}</span>}
              {record.found.length === 0 && !record.problem && <span>{t("domain.nothingFound")}</span>}
              {record.found.map((found) => (
                <span key={found} className="mono">
                  {found}
                </span>
              ))}
            </dd>
          </>
        )}
        {children}
      </dl>
    </article>
  );
}

/** How the certificate for the name stands, once the name leads here. */
function Certificate({ certificate }: { certificate: Domain["links_certificate"] }) {
  const { t } = useTranslation();
  if (!certificate) return null;
  const { state, valid_until, next_try_at, problem } = certificate;
  return (
    <>
      <dt>{t("domain.certificate")}</dt>
      <dd className={classes.found}>
        {valid_until ? (
          <span>
            {t("domain.certificateUntil")} <When at={valid_until} />
          </span>
        ) : (
          state !== "failing" && <span>{t("domain.certificateWaiting")}</span>
        )}
        {state === "failing" && (
          <>
            <span className={classes.failing}>
              {t(valid_until ? "domain.certificateNotRenewed" : "domain.certificateNone")}{" "}
              {next_try_at && (
                <>
                  {t("domain.certificateAgain")} <When at={next_try_at} />
                </>
              )}
            </span>
            {problem && <span>{problem}</span>}
          </>
        )}
      </dd>
    </>
  );
}

/** How much the record is needed, and until when. */
function Wanted({ record, keys }: { record: DomainRecord; keys: Keys }) {
  const { t } = useTranslation();
  if (record.stage === "next") return t("domain.next");
  if (record.needed_until) {
    return (
      <>
        {t("domain.leaving")} <When at={record.needed_until} />
      </>
    );
  }
  if (record.need !== "one_of") return t(`domain.need.${record.need}`);
  if (keys.found && record.ok === false) return t("domain.enough");
  return keys.n === 2 ? t("domain.oneOfTwo") : t("domain.oneOf", { n: keys.n });
}

function Verdict({ record, keys }: { record: DomainRecord; keys: Keys }) {
  const { t } = useTranslation();
  const lacking = record.need !== "one_of" ? "amber" : keys.found ? "grey" : "red";
  const [tone, Icon, word] =
    record.ok === true
      ? (["green", IconCircleCheck, t("domain.found")] as const)
      : record.ok === false
        ? ([lacking, IconCircleX, record.found.length > 0 ? t("domain.wrong") : t("domain.missing")] as const)
        : (["grey", IconHelpCircle, t("domain.notChecked")] as const);
  return (
    <span className={classes.verdict} data-tone={tone}>
      <Icon size={15} aria-hidden />
      {word}
    </span>
  );
}

function Removing({ domain, opened, close }: { domain: Domain; opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [typed, type] = useState("");
  const remove = useAct({
    run: () => commands.removeDomain(domain.id),
    stale: [["domains"], ["settings"]],
    said: () => t("domain.removed", { name: domain.name }),
    done: () => void navigate({ to: "/domains" }),
  });
  const same = typed.trim().toLowerCase() === domain.name.toLowerCase();
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={t("domain.removeTitle", { name: domain.name })}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (same) remove.mutate();
        }}
      >
        <Stack gap="sm">
          <Text>{t("domain.removeText")}</Text>
          <TextInput
            label={t("domain.removeType", { name: domain.name })}
            autoComplete="off"
            data-autofocus
            value={typed}
            onChange={(event) => type(event.currentTarget.value)}
            rightSection={same ? <IconCheck size={15} aria-hidden /> : null}
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              {t("common.cancel")}
            </Button>
            <Button type="submit" color="red" disabled={!same} loading={remove.isPending}>
              {t("domain.remove")}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
