/** Asking before a dangerous act: what it destroys, and a safe way out that has the focus. */
import { Text } from "@mantine/core";
import { modals } from "@mantine/modals";
import type { ReactNode } from "react";
import { i18next } from "../words";

export function confirm(ask: {
  title: string;
  text: ReactNode;
  yes: string;
  leave?: string;
  danger?: boolean;
  act: () => void;
}): void {
  modals.openConfirmModal({
    title: ask.title,
    children: <Text>{ask.text}</Text>,
    labels: { confirm: ask.yes, cancel: ask.leave ?? i18next.t("common.cancel") },
    confirmProps: ask.danger === false ? {} : { color: "red" },
    cancelProps: { "data-autofocus": true },
    closeButtonProps: { "aria-label": i18next.t("common.close") },
    onConfirm: ask.act,
  });
}
