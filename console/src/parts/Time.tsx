/** A moment: relative as text, absolute with its zone on hover. */
import { useTranslation } from "react-i18next";
import { absolute, ago } from "../format/time";
import { useNow } from "./now";

export function Ago({ at }: { at: string }) {
  const { t } = useTranslation();
  const now = useNow();
  const time = Date.parse(at);
  return (
    <time
      dateTime={at}
      title={absolute(time)}
      style={{ whiteSpace: "nowrap", position: "relative", zIndex: 1 }}
    >
      {ago(time, now) ?? t("common.now")}
    </time>
  );
}

export function When({ at }: { at: string }) {
  return <time dateTime={at}>{absolute(Date.parse(at))}</time>;
}
