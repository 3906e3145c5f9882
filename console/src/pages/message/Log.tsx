/** Everything that happened to a message, in the order it was recorded. */
import { useTranslation } from "react-i18next";
import type { Message } from "../../api/types";
import { absolute } from "../../format/time";
import { isKnown, State } from "../../parts/State";
import classes from "./Message.module.css";

function detail(data: unknown): string {
  if (data === null || data === undefined) return "";
  if (typeof data !== "object") return String(data);
  return Object.entries(data)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
    .join(", ");
}

export function Log({ mail }: { mail: Message }) {
  const { t } = useTranslation();
  const who = (ordinal?: number | null) =>
    mail.recipients.find((recipient) => recipient.ordinal === ordinal)?.address ?? "";
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section className={classes.logFrame} tabIndex={0} aria-label={t("message.tabs.log")}>
      <table className={classes.log} aria-label={t("message.tabs.log")}>
        <thead>
          <tr>
            <th scope="col">{t("message.log.at")}</th>
            <th scope="col">{t("message.log.what")}</th>
            <th scope="col">{t("message.log.who")}</th>
            <th scope="col">{t("message.log.detail")}</th>
          </tr>
        </thead>
        <tbody>
          {mail.events.map((event, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the log only grows at its end
            <tr key={i}>
              <td>{absolute(Date.parse(event.at))}</td>
              <td>{isKnown(event.kind) ? <State state={event.kind} plain /> : event.kind}</td>
              <td>{who(event.ordinal)}</td>
              <td className="mono">{detail(event.data)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
