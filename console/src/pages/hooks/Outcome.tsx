/** How a run ended, by one colour and one word. */
import { useTranslation } from "react-i18next";
import classes from "../../parts/State.module.css";
import { outcomeOf, toneOf } from "./words";

export function Outcome({ text }: { text: string }) {
  const { t } = useTranslation();
  const outcome = outcomeOf(text);
  return (
    <span className={classes.state} data-tone={toneOf(outcome)} data-outcome={outcome}>
      {t(`hooks.outcomes.${outcome}`)}
    </span>
  );
}
