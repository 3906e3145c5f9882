/** The fields of a hook that asks a receiver. */
import { NumberInput, TextInput } from "@mantine/core";
import { useTranslation } from "react-i18next";

interface Receiver {
  url: string;
  timeout?: number;
}

export const NEW_RECEIVER = JSON.stringify({ url: "", timeout: 3000 } satisfies Receiver);

function read(body: string): Receiver {
  try {
    return JSON.parse(body) as Receiver;
  } catch {
    return { url: "" };
  }
}

export function ReceiverFields({ body, change }: { body: string; change: (body: string) => void }) {
  const { t } = useTranslation();
  const receiver = read(body);
  const set = (more: Partial<Receiver>) => change(JSON.stringify({ ...receiver, ...more }));
  return (
    <>
      <TextInput
        label={t("hooks.receiverUrl")}
        description={t("hooks.receiverHint")}
        placeholder="https://example.com/hook"
        required
        value={receiver.url}
        onChange={(event) => set({ url: event.currentTarget.value })}
      />
      <NumberInput
        label={t("hooks.timeout")}
        min={100}
        max={5000}
        value={receiver.timeout ?? 3000}
        onChange={(value) => set({ timeout: Number(value) })}
      />
    </>
  );
}
