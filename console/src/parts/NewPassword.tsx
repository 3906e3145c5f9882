/** A field for a new password that says while one types how strong the server finds it, and why. */
import { PasswordInput, type PasswordInputProps, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { commands } from "../api/queries";
import classes from "./NewPassword.module.css";

interface Props extends Omit<PasswordInputProps, "value"> {
  value: string;
  email?: string;
}

export function NewPassword({ value, email, ...field }: Props) {
  const { t } = useTranslation();
  const [settled] = useDebouncedValue(value, 250);
  const strength = useQuery({
    queryKey: ["strength", settled, email ?? ""],
    queryFn: ({ signal }) => commands.strength({ password: settled, ...(email && { email }) }, signal),
    enabled: settled !== "",
    staleTime: Number.POSITIVE_INFINITY,
    // A password has no business in a cache once the field is gone.
    gcTime: 0,
    retry: false,
    placeholderData: keepPreviousData,
  });
  const found = value === "" ? undefined : strength.data;
  const levels = t("password.level", { returnObjects: true });
  return (
    <div>
      <PasswordInput {...field} value={value} autoComplete="new-password" maxLength={1024} />
      <div
        className={classes.bars}
        data-score={found?.score ?? -1}
        data-ok={found?.ok || undefined}
        aria-hidden
      >
        <i />
        <i />
        <i />
        <i />
      </div>
      <Text size="xs" c="dimmed" aria-live="polite">
        {found
          ? [
              t("password.strength", { level: levels[found.score] ?? "" }),
              ...(found.ok ? [] : [found.warning, ...found.suggestions]),
            ]
              .filter(Boolean)
              .join(". ")
              .replaceAll("..", ".")
          : t("password.rule")}
      </Text>
    </div>
  );
}
