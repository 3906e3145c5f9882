/** From which day to which day, with the usual spans one click away. */
import "@mantine/dates/styles.css";
import { DatePickerInput } from "@mantine/dates";
import { IconCalendar } from "@tabler/icons-react";
import dayjs from "dayjs";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { language } from "../../words/language";

interface Props {
  since: string | undefined;
  until: string | undefined;
  onChange: (range: { since: string | undefined; until: string | undefined }) => void;
}

const day = (daysAgo: number) => dayjs().subtract(daysAgo, "day").format("YYYY-MM-DD");

export function DateRange({ since, until, onChange }: Props) {
  const { t } = useTranslation();
  // While only the first day is chosen the range is not yet one, and the list stays as it is.
  const [range, choose] = useState<[string | null, string | null]>([since ?? null, until ?? null]);
  useEffect(() => choose([since ?? null, until ?? null]), [since, until]);
  return (
    <DatePickerInput
      type="range"
      locale={language}
      aria-label={t("messages.dates")}
      placeholder={t("messages.anyDate")}
      clearable
      allowSingleDateInRange
      valueFormat="D MMM YYYY"
      leftSection={<IconCalendar size={15} aria-hidden />}
      // Red is for states.
      weekendDays={[]}
      maxDate={day(0)}
      presets={[
        { value: [day(0), day(0)], label: t("messages.presets.today") },
        { value: [day(6), day(0)], label: t("messages.presets.week") },
        { value: [day(29), day(0)], label: t("messages.presets.month") },
      ]}
      value={range}
      onChange={(chosen) => {
        choose(chosen);
        const [from, to] = chosen;
        if ((from === null) === (to === null)) onChange({ since: from ?? undefined, until: to ?? undefined });
      }}
      miw={170}
    />
  );
}
