/** Copying: a button beside a value, and a block of text with its button. */
import { ActionIcon, CopyButton, Tooltip, VisuallyHidden } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useTranslation } from "react-i18next";
import classes from "./Copy.module.css";

export function Copy({ value, what }: { value: string; what: string }) {
  const { t } = useTranslation();
  return (
    <CopyButton value={value} timeout={2_000}>
      {({ copied, copy }) => (
        <>
          <Tooltip label={copied ? t("common.copied") : t("common.copyWhat", { what })}>
            <ActionIcon
              variant="subtle"
              color="gray"
              size={22}
              onClick={copy}
              aria-label={t("common.copyWhat", { what })}
            >
              {copied ? <IconCheck size={15} aria-hidden /> : <IconCopy size={15} aria-hidden />}
            </ActionIcon>
          </Tooltip>
          <VisuallyHidden role="status">{copied ? t("common.copied") : ""}</VisuallyHidden>
        </>
      )}
    </CopyButton>
  );
}

/** A value that is copied more often than read. */
export function CopyValue({ value, what, mono }: { value: string; what: string; mono?: boolean }) {
  return (
    <span className={classes.value}>
      <span className={mono ? "mono" : undefined}>{value}</span>
      <Copy value={value} what={what} />
    </span>
  );
}

export function CodeBlock({ text, what }: { text: string; what: string }) {
  return (
    <div className={classes.block}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <section className={classes.code} tabIndex={0} aria-label={what}>
        <pre>{text}</pre>
      </section>
      <div className={classes.corner}>
        <Copy value={text} what={what} />
      </div>
    </div>
  );
}
