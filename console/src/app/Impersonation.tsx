/** Above every page while an operator sees the console as an account: whose it is, who looks, until when, and the way out. */
import { Button } from "@mantine/core";
import { IconEye } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { leave } from "../api/impersonation";
import { session } from "../api/queries";
import type { Me } from "../api/types";
import { clock } from "../format/time";
import { useAct } from "../parts/act";
import classes from "./Impersonation.module.css";

export function Impersonation({ me }: { me: Me }) {
  const { t } = useTranslation();
  const cache = useQueryClient();
  const leaving = useAct({ run: () => leave(me.account.id), stale: [] });
  const ends = me.impersonation ? Date.parse(me.impersonation.expires_at) : undefined;
  useEffect(() => {
    if (ends === undefined) return;
    // The server says that it is over, and its answer leads back.
    const over = () => void cache.invalidateQueries({ queryKey: session.queryKey });
    const timer = setTimeout(over, Math.max(0, ends - Date.now()) + 1_000);
    return () => clearTimeout(timer);
  }, [ends, cache]);
  if (!me.impersonation || ends === undefined) return null;
  return (
    <section className={classes.strip} aria-label={t("impersonation.label")}>
      <IconEye size={18} stroke={1.8} aria-hidden className={classes.icon} />
      <p className={classes.words}>
        <strong>{t("impersonation.whose", { name: me.account.name })}</strong>{" "}
        <span>
          {t("impersonation.until", { by: me.impersonation.by, time: clock(ends) })}{" "}
          <span className={classes.more}>{t("impersonation.reading")}</span>
        </span>
      </p>
      <Button
        size="compact-sm"
        variant="default"
        loading={leaving.isPending}
        onClick={() => leaving.mutate()}
        className={classes.leave}
      >
        {t("impersonation.leave")}
      </Button>
    </section>
  );
}
