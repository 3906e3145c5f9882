/** First start: makes the operator's account and signs in. */
import { Button, Stack, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands, session, setup } from "../../api/queries";
import { BareHead } from "../../app/Bare";
import { useAct } from "../../parts/act";
import { FormFault } from "../../parts/Feedback";
import { NewPassword } from "../../parts/NewPassword";
import { useTitle } from "../../parts/title";

const route = getRouteApi("/bare/setup");

export function Setup() {
  const { t } = useTranslation();
  const { token } = route.useSearch();
  const navigate = useNavigate();
  const cache = useQueryClient();
  const needs = useQuery(setup);
  const form = useForm({ initialValues: { email: "", password: "", token: token ?? "" } });
  const create = useAct({
    run: ({ email, password, token: given }: typeof form.values) =>
      commands.setUp({ email: email.trim(), password, ...(given.trim() && { token: given.trim() }) }),
    stale: [],
    silent: true,
    done: (me) => {
      cache.setQueryData(session.queryKey, me);
      cache.setQueryData(setup.queryKey, { needed: false, token_required: false });
      void navigate({ to: "/" });
    },
  });
  useTitle(t("setup.title"));
  const faults = create.error instanceof ApiError ? create.error.fields : {};
  return (
    <form onSubmit={form.onSubmit((values) => create.mutate(values))}>
      <BareHead title={t("setup.title")} intro={t("setup.intro")} />
      <Stack gap="sm">
        <TextInput
          label={t("setup.email")}
          type="email"
          required
          autoComplete="username"
          error={faults.email}
          {...form.getInputProps("email")}
        />
        <NewPassword
          label={t("setup.password")}
          required
          email={form.values.email}
          error={faults.password}
          value={form.values.password}
          onChange={(event) => form.setFieldValue("password", event.currentTarget.value)}
        />
        {needs.data?.token_required && (
          <TextInput
            label={t("setup.token")}
            description={t("setup.tokenHint")}
            required
            autoComplete="off"
            error={faults.token}
            {...form.getInputProps("token")}
          />
        )}
        <FormFault error={create.error} />
        <Button type="submit" loading={create.isPending} fullWidth>
          {t("setup.submit")}
        </Button>
      </Stack>
    </form>
  );
}
