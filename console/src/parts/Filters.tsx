/** The row of filters over a list. */
import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import classes from "./Filters.module.css";

export function Filters({ children, onClear }: { children: ReactNode; onClear?: () => void }) {
  const { t } = useTranslation();
  return (
    <search className={classes.filters} aria-label={t("table.filters")}>
      {children}
      {onClear && (
        <Button variant="subtle" color="gray" size="compact-sm" onClick={onClear}>
          {t("table.clear")}
        </Button>
      )}
    </search>
  );
}
