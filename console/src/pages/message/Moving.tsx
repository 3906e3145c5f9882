/** The form that gives a scheduled message another time to leave at. */
import "@mantine/dates/styles.css";
import { DateTimePicker } from "@mantine/dates";
import { useForm } from "@mantine/form";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { commands } from "../../api/queries";
import type { Message } from "../../api/types";
import { absolute } from "../../format/time";
import { useAct } from "../../parts/act";
import { FormDialog } from "../../parts/FormDialog";

const DAY_MS = 86_400_000;
/** The server takes no time that lies further ahead. */
const FURTHEST_DAYS = 30;

/** As the picker has it: a moment of the reader's own zone, without saying so. */
function local(ms: number): string {
  const at = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:00`;
}

/** Until when what is scheduled of a message waits; none where nothing is. */
export function scheduledFor(mail: Message): string | undefined {
  return mail.recipients.find((one) => one.state === "scheduled")?.next_at ?? undefined;
}

export function Moving({ mail, close }: { mail: Message; close: () => void }) {
  const { t } = useTranslation();
  const now = Date.now();
  const before = scheduledFor(mail);
  const form = useForm({
    initialValues: { at: local(before ? Date.parse(before) : now + 3_600_000) },
    validate: { at: (at) => (at ? null : t("message.needTime")) },
  });
  const move = useAct({
    run: (send_at: string) => commands.rescheduleMessage(mail.id, { send_at }),
    stale: [["messages"]],
    said: (at) => t("message.moved", { time: absolute(Date.parse(at)) }),
    silent: true,
    done: close,
  });
  const faults = move.error instanceof ApiError ? move.error.fields : {};
  return (
    <FormDialog
      opened
      close={close}
      title={t("message.move")}
      onSubmit={form.onSubmit(({ at }) => move.mutate(new Date(at.replace(" ", "T")).toISOString()))}
      submit={t("message.moveYes")}
      busy={move.isPending}
      fault={move.error}
    >
      <DateTimePicker
        label={t("message.leavesAt")}
        description={t("message.leavesAtHint", { zone: Intl.DateTimeFormat().resolvedOptions().timeZone })}
        required
        valueFormat="D MMM YYYY, HH:mm"
        minDate={new Date(now)}
        maxDate={new Date(now + FURTHEST_DAYS * DAY_MS)}
        {...form.getInputProps("at")}
        error={form.errors.at ?? faults.send_at}
      />
    </FormDialog>
  );
}
