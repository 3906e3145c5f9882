/** Two-step sign-in: the app that gives codes, recovery codes, switching it off. */
import { Alert, Anchor, Button, Group, Paper, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands, session, smtpPasswords } from "../../api/queries";
import { stepCommands } from "../../api/secondStep";
import type { NewApp, SecondStep } from "../../api/types";
import { absolute } from "../../format/time";
import { useAct } from "../../parts/act";
import { CopyValue } from "../../parts/Copy";
import { confirm } from "../../parts/confirm";
import { Facts } from "../../parts/Facts";
import { FormFault } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { Section } from "../../parts/Page";
import classes from "./Security.module.css";

interface Props {
  step: SecondStep;
  /** Shows recovery codes, once. */
  show: (codes: string[]) => void;
}

const STALE = [["second-step"]];

export function TwoSteps({ step, show }: Props) {
  const { t } = useTranslation();
  const [app, setApp] = useState<NewApp>();
  const [leaving, off] = useDisclosure();
  const begin = useAct({ run: stepCommands.beginApp, stale: [], done: setApp });
  const renew = useAct({
    run: stepCommands.newCodes,
    stale: STALE,
    done: ({ recovery_codes }) => show(recovery_codes),
  });
  const askRenew = () =>
    confirm({
      title: t("security.renewTitle"),
      text: t("security.renewText", { count: step.recovery_codes_left }),
      yes: t("security.renew"),
      act: () => renew.mutate(),
    });
  return (
    <Section
      title={t("security.steps")}
      hint={
        <>
          {t("security.stepsHint")}{" "}
          <Anchor href="/help/two-step-sign-in" underline="always">
            {t("security.more")}
          </Anchor>
        </>
      }
    >
      <Paper className={classes.card}>
        <Stack gap="sm">
          <Facts
            facts={[
              [t("security.state"), step.on ? t("security.on") : t("security.off")],
              [
                t("security.app"),
                step.app_since
                  ? t("security.appSince", { when: absolute(Date.parse(step.app_since)) })
                  : t("common.none"),
              ],
              step.on && [t("security.codes"), t("security.codesLeft", { count: step.recovery_codes_left })],
            ]}
          />
          {step.on && <SmtpStays />}
          {app ? (
            <Setting
              app={app}
              close={() => setApp(undefined)}
              done={(codes) => {
                setApp(undefined);
                show(codes);
              }}
            />
          ) : (
            <Group gap="xs">
              <Button
                variant={step.on ? "default" : "filled"}
                loading={begin.isPending}
                onClick={() => begin.mutate()}
              >
                {step.app_since ? t("security.appReplace") : t("security.appSet")}
              </Button>
              {step.on && (
                <>
                  <Button variant="default" onClick={askRenew} loading={renew.isPending}>
                    {t("security.renew")}
                  </Button>
                  <Button variant="default" onClick={off.open}>
                    {t("security.switchOff")}
                  </Button>
                </>
              )}
            </Group>
          )}
        </Stack>
      </Paper>
      <Leaving opened={leaving} close={off.close} />
    </Section>
  );
}

/** The password opens SMTP all the same, until its switch says otherwise. */
function SmtpStays() {
  const { t } = useTranslation();
  const username = useQuery(session).data?.login.email ?? "";
  const own = useQuery(smtpPasswords).data?.items.find((one) => one.username === username);
  const forbid = useAct({
    run: () => commands.allowSmtpPassword({ username, allowed: false }),
    stale: [["smtp-passwords"]],
    said: () => t("credentials.forbidden", { username }),
  });
  if (!own?.allowed) return null;
  const ask = () =>
    confirm({
      title: t("security.smtpForbidTitle"),
      text: t("security.smtpForbidText", { username }),
      yes: t("security.smtpForbid"),
      act: () => forbid.mutate(),
    });
  return (
    <Alert color="yellow" variant="outline" icon={<IconAlertTriangle aria-hidden />}>
      <Stack gap="xs">
        <Text>{t("security.smtpOpen")}</Text>
        <Group gap="xs">
          <Button size="xs" variant="default" component={Link} to="/smtp-credentials">
            {t("security.smtpCredentials")}
          </Button>
          <Button size="xs" variant="default" onClick={ask} loading={forbid.isPending}>
            {t("security.smtpForbid")}
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

function Setting({ app, close, done }: { app: NewApp; close: () => void; done: (codes: string[]) => void }) {
  const { t } = useTranslation();
  const form = useForm({ initialValues: { code: "" } });
  const set = useAct({
    run: ({ code }: typeof form.values) => stepCommands.confirmApp(code),
    stale: STALE,
    silent: true,
    said: () => t("security.appCounts"),
    done: ({ recovery_codes }) => done(recovery_codes),
  });
  const wrong = set.error instanceof ApiError ? set.error.fields.code : undefined;
  const picture = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(app.qr)}`;
  return (
    <form onSubmit={form.onSubmit((values) => set.mutate(values))}>
      <div className={classes.set}>
        <img className={classes.qr} src={picture} alt={t("security.qr")} />
        <Stack gap="sm">
          <Text>{t("security.scan")}</Text>
          <Text size="sm">
            {t("security.byHand")} <CopyValue value={app.secret} what={t("security.secret")} mono />
          </Text>
          <TextInput
            label={t("security.code")}
            description={t("security.codeHint")}
            required
            autoFocus
            inputMode="numeric"
            autoComplete="one-time-code"
            maxLength={10}
            maw={220}
            {...form.getInputProps("code")}
            error={wrong}
          />
          <FormFault error={wrong ? null : set.error} />
          <Group gap="xs">
            <Button type="submit" loading={set.isPending}>
              {t("security.appConfirm")}
            </Button>
            <Button variant="default" onClick={close}>
              {t("common.cancel")}
            </Button>
          </Group>
        </Stack>
      </div>
    </form>
  );
}

function Leaving({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const form = useForm({ initialValues: { password: "", code: "" } });
  const off = useAct({
    run: (values: typeof form.values) => stepCommands.off(values),
    stale: STALE,
    silent: true,
    said: () => t("security.isOff"),
    done: () => {
      form.reset();
      close();
    },
  });
  const faults = off.error instanceof ApiError ? off.error.fields : {};
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("security.offTitle")}
      onSubmit={form.onSubmit((values) => off.mutate(values))}
      submit={t("security.switchOff")}
      busy={off.isPending}
      fault={Object.keys(faults).length > 0 ? null : off.error}
      danger
    >
      <Text>{t("security.offText")}</Text>
      <PasswordInput
        label={t("security.password")}
        required
        maxLength={1024}
        autoComplete="current-password"
        data-autofocus
        {...form.getInputProps("password")}
        error={faults.password}
      />
      <TextInput
        label={t("security.anyCode")}
        required
        maxLength={40}
        autoComplete="one-time-code"
        {...form.getInputProps("code")}
        error={faults.code}
      />
    </FormDialog>
  );
}
