/** The button that has the browser ask for a passkey, and what came of it. */
import { Button } from "@mantine/core";
import { IconFingerprint } from "@tabler/icons-react";
import type { ComponentProps } from "react";
import { useTranslation } from "react-i18next";
import { left } from "../api/secondStep";
import { FormFault } from "./Feedback";

interface Props extends Omit<ComponentProps<typeof Button>, "children" | "onClick" | "loading"> {
  act: { mutate: () => void; isPending: boolean; error: Error | null };
  words: string;
}

export function PasskeyButton({ act, words, ...button }: Props) {
  const { t } = useTranslation();
  return (
    <>
      <Button
        variant="default"
        fullWidth
        leftSection={<IconFingerprint size={17} aria-hidden />}
        loading={act.isPending}
        onClick={() => act.mutate()}
        {...button}
      >
        {words}
      </Button>
      <FormFault error={left(act.error) ? new Error(t("signIn.passkeyLeft")) : act.error} />
    </>
  );
}
