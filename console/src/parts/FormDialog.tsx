/** A form in a dialog: its fields, what the server refused, a way out and the act itself. */
import { Button, Group, Modal, Stack } from "@mantine/core";
import type { ComponentProps, ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { FormFault } from "./Feedback";

interface Props {
  opened: boolean;
  close: () => void;
  title: string;
  onSubmit: ComponentProps<"form">["onSubmit"];
  /** What the button says that does it. */
  submit: string;
  busy: boolean;
  /** What was refused, apart from what a field says itself. */
  fault: Error | null;
  danger?: boolean;
  children: ReactNode;
}

export function FormDialog({ opened, close, title, onSubmit, submit, busy, fault, danger, children }: Props) {
  const { t } = useTranslation();
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={title}
      closeButtonProps={{ "aria-label": t("common.close") }}
    >
      <form onSubmit={onSubmit}>
        <Stack gap="sm">
          {children}
          <FormFault error={fault} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              {t("common.cancel")}
            </Button>
            <Button type="submit" color={danger ? "red" : undefined} loading={busy}>
              {submit}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
