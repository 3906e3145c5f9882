/** Signing in, and back to the page that asked for it. */
import { Anchor, Button, Group, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { commands, session, signUp } from "../../api/queries";
import { BareHead } from "../../app/Bare";
import { BASE } from "../../app/base";
import { useAct } from "../../parts/act";
import { FormFault } from "../../parts/Feedback";
import { useTitle } from "../../parts/title";

const route = getRouteApi("/bare/sign-in");

export function SignIn() {
  const { t } = useTranslation();
  const { next, ended } = route.useSearch();
  const router = useRouter();
  const cache = useQueryClient();
  const opening = useQuery(signUp);
  const form = useForm({ initialValues: { email: "", password: "" } });
  const signIn = useAct({
    run: ({ email, password }: typeof form.values) => commands.signIn({ email: email.trim(), password }),
    stale: [],
    silent: true,
    done: (me) => {
      cache.clear();
      cache.setQueryData(session.queryKey, me);
      // `next` may hold a search as well, so it is pushed as text rather than put together again.
      router.history.push(`${BASE}${next ?? "/"}`);
    },
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
