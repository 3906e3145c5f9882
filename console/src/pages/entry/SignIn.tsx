/** Signing in, by password and second step or by passkey, and back to the page that asked for it. */
import { Anchor, Button, Divider, Group, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands, session, signUp } from "../../api/queries";
import { canPasskey, passkeySignIn, type Second, secondAsked, stepCommands } from "../../api/secondStep";
import type { Me } from "../../api/types";
import { BareHead } from "../../app/Bare";
import { BASE } from "../../app/base";
import { useAct } from "../../parts/act";
import { FormFault, Lines } from "../../parts/Feedback";
import { PasskeyButton } from "../../parts/PasskeyButton";
import { useTitle } from "../../parts/title";

const route = getRouteApi("/bare/sign-in");

export function SignIn() {
  const cache = useQueryClient();
  // Whoever comes from the page without a script may have given the password there.
  const asked = useQuery(secondAsked);
  const ask = (second: Second | null) => cache.setQueryData(secondAsked.queryKey, second);
  if (asked.isPending) return <Lines n={6} />;
  return asked.data ? (
    <SecondStep second={asked.data} again={() => ask(null)} />
  ) : (
    <Password halfIn={(second) => ask(second)} />
  );
}

/** Whoever is signed in goes to the page that asked for it. */
function useEnter() {
  const { next } = route.useSearch();
  const router = useRouter();
  const cache = useQueryClient();
  return (me: Me) => {
    cache.clear();
    cache.setQueryData(session.queryKey, me);
    // `next` may hold a search as well, so it is pushed as text rather than put together again.
    router.history.push(`${BASE}${next ?? "/"}`);
  };
}

function usePasskey() {
  const enter = useEnter();
  return useAct({ run: passkeySignIn, stale: [], silent: true, done: enter });
}

function Password({ halfIn }: { halfIn: (second: Second) => void }) {
  const { t } = useTranslation();
  const { ended } = route.useSearch();
  const enter = useEnter();
  const opening = useQuery(signUp);
  const passkey = usePasskey();
  const form = useForm({ initialValues: { email: "", password: "" } });
  const signIn = useAct({
    run: ({ email, password }: typeof form.values) => commands.signIn({ email: email.trim(), password }),
    stale: [],
    silent: true,
    done: (answer) => ("second" in answer ? halfIn(answer.second) : enter(answer)),
  });
  useTitle(t("signIn.title"));
  return (
    <form onSubmit={form.onSubmit((values) => signIn.mutate(values))}>
      <BareHead title={t("signIn.title")} intro={t("signIn.intro")} />
      <Stack gap="sm">
        {ended && !signIn.error && <Text role="status">{t("signIn.ended")}</Text>}
        <TextInput
          label={t("signIn.email")}
          type="email"
          required
          autoFocus
          autoComplete="username"
          {...form.getInputProps("email")}
        />
        <PasswordInput
          label={t("signIn.password")}
          required
          maxLength={1024}
          autoComplete="current-password"
          {...form.getInputProps("password")}
        />
        <FormFault error={signIn.error} />
        <Button type="submit" loading={signIn.isPending} fullWidth>
          {t("signIn.submit")}
        </Button>
        {canPasskey() && (
          <>
            <Divider />
            <PasskeyButton act={passkey} words={t("signIn.passkey")} />
          </>
        )}
        <Group justify="space-between">
          <Anchor href="/password/forgot" size="sm">
            {t("signIn.forgot")}
          </Anchor>
          {opening.data?.mode === "open" && (
            <Anchor href="/sign-up" size="sm">
              {t("signIn.create")}
            </Anchor>
          )}
        </Group>
      </Stack>
    </form>
  );
}

function SecondStep({ second, again }: { second: Second; again: () => void }) {
  const { t } = useTranslation();
  const enter = useEnter();
  const passkey = usePasskey();
  const form = useForm({ initialValues: { code: "" } });
  const give = useAct({
    run: ({ code }: typeof form.values) => stepCommands.giveCode(code),
    stale: [],
    silent: true,
    done: enter,
  });
  useTitle(t("signIn.second"));
  const wrong = give.error instanceof ApiError ? give.error.fields.code : undefined;
  const codes = second.filter((one) => one !== "passkey");
  const label =
    codes.length > 1
      ? t("signIn.codeOrRecovery")
      : codes[0] === "totp"
        ? t("signIn.code")
        : t("signIn.recovery");
  return (
    <form onSubmit={form.onSubmit((values) => give.mutate(values))}>
      <BareHead title={t("signIn.second")} intro={t("signIn.secondIntro")} />
      <Stack gap="sm">
        {second.includes("passkey") && canPasskey() && (
          <>
            <PasskeyButton act={passkey} words={t("signIn.usePasskey")} />
            {codes.length > 0 && <Divider />}
          </>
        )}
        {codes.length > 0 && (
          <>
            <TextInput
              label={label}
              required
              autoFocus
              autoComplete="one-time-code"
              autoCapitalize="none"
              spellCheck={false}
              maxLength={40}
              {...form.getInputProps("code")}
              error={wrong}
            />
            <FormFault error={wrong ? null : give.error} />
            <Button type="submit" loading={give.isPending} fullWidth>
              {t("signIn.go")}
            </Button>
          </>
        )}
        <Anchor component="button" type="button" size="sm" onClick={again} style={{ alignSelf: "start" }}>
          {t("signIn.again")}
        </Anchor>
      </Stack>
    </form>
  );
}
