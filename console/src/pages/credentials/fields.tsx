/** The fields of a credential that its owner can change, for the form that makes one and the form that changes one. */
import { NumberInput, Textarea, TextInput } from "@mantine/core";
import { DatePickerInput } from "@mantine/dates";
import type { UseFormReturnType } from "@mantine/form";
import dayjs from "dayjs";
import { useTranslation } from "react-i18next";
import type { SmtpCredential } from "../../api/types";
import { StreamSelect } from "../../parts/StreamSelect";
import { i18next } from "../../words";

export interface Wanted {
  name: string;
  networks: string;
  rate: number | string;
  /** A day in the reader's own zone. */
  until: string | null;
  stream: string | null;
}

export const NOTHING: Wanted = { name: "", networks: "", rate: "", until: null, stream: null };

export const validate = {
  name: (name: string) => (name.trim() === "" ? i18next.t("credentials.needName") : null),
};

const dayOf = (moment: string | null) => (moment === null ? null : dayjs(moment).format("YYYY-MM-DD"));

/** A credential as its form begins. */
export const standing = ({ name, networks, rate, expires_at, stream }: SmtpCredential): Wanted => ({
  name,
  networks: networks.join("\n"),
  rate: rate ?? "",
  until: dayOf(expires_at),
  stream,
});

/** What it is bound to, as the API has it. A day that stays keeps its `moment`, which need not be the day's end. */
export function limits({ networks, rate, until, stream }: Wanted, moment: string | null = null) {
  const end = until && (until === dayOf(moment) ? moment : new Date(`${until}T23:59:59`).toISOString());
  return {
    networks: networks.split(/[\s,;]+/).filter(Boolean),
    ...(typeof rate === "number" && { rate }),
    ...(end && { expires_at: end }),
    stream,
  };
}

interface Props {
  getInputProps: UseFormReturnType<Wanted>["getInputProps"];
  errors: UseFormReturnType<Wanted>["errors"];
  /** What the server refused, by its names. */
  faults: Record<string, string>;
}

export function Fields({ getInputProps, errors, faults }: Props) {
  const { t } = useTranslation();
  return (
    <>
      <TextInput
        label={t("credentials.name")}
        description={t("credentials.nameHint")}
        placeholder={t("credentials.namePlaceholder")}
        required
        data-autofocus
        {...getInputProps("name")}
        error={errors.name ?? faults.name}
      />
      <Textarea
        label={t("credentials.networks")}
        description={t("credentials.networksHint")}
        placeholder="192.0.2.0/28"
        autosize
        minRows={1}
        maxRows={5}
        {...getInputProps("networks")}
        error={faults.networks}
      />
      <NumberInput
        label={t("credentials.rate")}
        description={t("credentials.rateHint")}
        min={1}
        max={1_000_000}
        allowDecimal={false}
        {...getInputProps("rate")}
        error={faults.rate}
      />
      <DatePickerInput
        label={t("credentials.expires")}
        description={t("credentials.expiresHint")}
        clearable
        {...getInputProps("until")}
        error={faults.expires_at}
      />
      <StreamSelect
        label={t("credentials.stream")}
        description={t("credentials.streamHint")}
        placeholder={t("credentials.anyStream")}
        {...getInputProps("stream")}
        error={faults.stream}
      />
    </>
  );
}
