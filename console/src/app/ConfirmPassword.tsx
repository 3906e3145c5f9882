/** Asks for the password again, or a passkey, before something dangerous is done. */
import { Button, Divider, Group, PasswordInput, Stack, Text } from "@mantine/core";
import { useForm } from "@mantine/form";
import { modals } from "@mantine/modals";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { askBy } from "../api/fresh";
import { commands, session } from "../api/queries";
import { canPasskey, passkeyConfirm, secondStep } from "../api/secondStep";
import { useAct } from "../parts/act";
import { FormFault } from "../parts/Feedback";
import { PasskeyButton } from "../parts/PasskeyButton";
import { i18next } from "../words";

/** The dialog may stand above another one; Escape is for this one alone, which the other would take as its own. */
const alone = { "data-mantine-stop-propagation": "true" } as const;

function Form({ finish }: { finish: (entered: boolean) => void }) {
  const { t } = useTranslation();
  const email = useQuery(session).data?.login.email ?? "";
  const form = useForm({ initialValues: { password: "" } });
  const enter = useAct({
    run: ({ password }: typeof form.values) => commands.confirmSession(password),
    stale: [],
    silent: true,
    done: () => finish(true),
  });
  const passkey = useAct({ run: passkeyConfirm, stale: [], silent: true, done: () => finish(true) });
  const step = useQuery(secondStep).data;
  const keyed = canPasskey() && step?.no_passkeys === null && step.passkeys.length > 0;
  const wrong = enter.error instanceof ApiError ? enter.error.fields.password : undefined;
  const leave = (event: React.KeyboardEvent) => {
    if (event.key === "Escape") finish(false);
  };
  return (
    <form onSubmit={form.onSubmit((values) => enter.mutate(values))} onKeyDown={leave}>
      {/* Password managers want to know whose password it is. */}
      <input type="text" autoComplete="username" value={email} readOnly hidden />
      <Stack gap="sm">
        <Text>{t("fresh.why")}</Text>
        <PasswordInput
          label={t("fresh.password", { email })}
          required
          maxLength={1024}
          autoComplete="current-password"
          data-autofocus
          {...alone}
          {...form.getInputProps("password")}
          error={wrong}
        />
        <FormFault error={wrong ? null : enter.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={() => finish(false)} {...alone}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" loading={enter.isPending} {...alone}>
            {t("fresh.go")}
          </Button>
        </Group>
        {keyed && (
          <>
            <Divider />
            <PasskeyButton act={passkey} words={t("fresh.passkey")} {...alone} />
          </>
        )}
      </Stack>
    </form>
  );
}

askBy(
  () =>
    new Promise((done) => {
      const finish = (entered: boolean) => {
        done(entered);
        modals.close(id);
      };
      const id = modals.open({
        title: i18next.t("fresh.title"),
        children: <Form finish={finish} />,
        closeOnEscape: false,
        closeButtonProps: { "aria-label": i18next.t("common.close"), ...alone },
        onClose: () => done(false),
      });
    }),
);
