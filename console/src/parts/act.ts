/** A command with its aftermath: what to ask anew, and a word about how it went. */
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

interface Options<In, Out> {
  run: (input: In) => Promise<Out>;
  /** Cache keys that no longer hold. */
  stale: readonly (readonly unknown[])[];
  /** Said when it worked. */
  said?: (input: In, output: Out) => string;
  done?: (output: Out, input: In) => void;
  /** The form beside it shows the fault itself. */
  silent?: boolean;
}

export function useAct<In = void, Out = unknown>({ run, stale, said, done, silent }: Options<In, Out>) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  return useMutation<Out, Error, In>({
    mutationFn: run,
    onSuccess: (output, input) => {
      for (const queryKey of stale) void cache.invalidateQueries({ queryKey });
      if (said) notifications.show({ message: said(input, output) });
      done?.(output, input);
    },
    onError: (error) => {
      if (!silent) notifications.show({ color: "red", title: t("error.failed"), message: error.message });
    },
  });
}
