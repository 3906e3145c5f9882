/** What a hook says and how it behaves: its editor or its fields, and trying it out before it counts. */
import { Button, Group, Input, Radio, Stack, Switch, TextInput } from "@mantine/core";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import type { HookKind } from "../../api/types";
import { FormFault, Lines } from "../../parts/Feedback";
import classes from "./hooks.module.css";
import { ReceiverFields } from "./ReceiverFields";
import { RuleFields } from "./RuleFields";
import { Trying } from "./Trying";

const Code = lazy(() => import("./Code"));

export interface Draft {
  name: string;
  body: string;
  enabled: boolean;
  on_fault: "open" | "closed";
}

interface Props {
  kind: HookKind;
  draft: Draft;
  change: (draft: Draft) => void;
  save: () => void;
  busy: boolean;
  fault: Error | null;
  mayChange: boolean;
  /** Its id, where it is kept already. */
  hook?: string;
  /** Further acts beside saving. */
  children?: React.ReactNode;
}

/** The line that a refusal of a script names. */
function faultOf(error: Error | null) {
  const said = error instanceof ApiError ? error.fields.body : undefined;
  const found = said?.match(/^line (\d+): (.*)/s);
  return found ? { line: Number(found[1]), message: found[2] ?? "" } : undefined;
}

export function Editing({ kind, draft, change, save, busy, fault, mayChange, hook, children }: Props) {
  const { t } = useTranslation();
  const [nameless, setNameless] = useState(false);
  const [mark, setMark] = useState<{ line: number; message: string }>();
  const set = (more: Partial<Draft>) => change({ ...draft, ...more });
  const fields = fault instanceof ApiError ? fault.fields : {};
  return (
    <>
      <form
        className={classes.form}
        onSubmit={(event) => {
          event.preventDefault();
          const without = draft.name.trim() === "";
          setNameless(without);
          if (!without) save();
        }}
      >
        <TextInput
          label={t("hooks.name")}
          placeholder={t("hooks.namePlaceholder")}
          required
          maw="40rem"
          readOnly={!mayChange}
          value={draft.name}
          onChange={(event) => set({ name: event.currentTarget.value })}
          error={nameless ? t("hooks.needName") : fields.name}
        />
        {kind !== "script" ? (
          <div className={classes.rule}>
            {kind === "rule" ? (
              <RuleFields body={draft.body} change={(body) => set({ body })} />
            ) : (
              <ReceiverFields body={draft.body} change={(body) => set({ body })} />
            )}
            {fields.body && <Input.Error>{fields.body}</Input.Error>}
          </div>
        ) : (
          <Input.Wrapper
            label={t("hooks.code")}
            description={t("hooks.codeHint")}
            error={fields.body}
            labelElement="div"
          >
            <Suspense fallback={<Lines n={8} />}>
              <Code
                value={draft.body}
                change={(body) => set({ body })}
                label={t("hooks.code")}
                fault={faultOf(fault) ?? mark}
                readOnly={!mayChange}
              />
            </Suspense>
          </Input.Wrapper>
        )}
        <Radio.Group
          label={t("hooks.onFault")}
          description={t("hooks.onFaultHint")}
          value={draft.on_fault}
          onChange={(value) => set({ on_fault: value === "closed" ? "closed" : "open" })}
        >
          <Stack gap={6} mt={4}>
            <Radio value="open" label={t("hooks.open")} disabled={!mayChange} />
            <Radio value="closed" label={t("hooks.closed")} disabled={!mayChange} />
          </Stack>
        </Radio.Group>
        <Switch
          label={t("hooks.enabled")}
          disabled={!mayChange}
          checked={draft.enabled}
          onChange={(event) => set({ enabled: event.currentTarget.checked })}
        />
        {!fields.body && !fields.name && <FormFault error={fault} />}
        {mayChange && (
          <Group gap="xs">
            <Button type="submit" loading={busy}>
              {t("hooks.save")}
            </Button>
            {children}
          </Group>
        )}
      </form>
      {mayChange && <Trying kind={kind} body={draft.body} mark={setMark} {...(hook && { hook })} />}
    </>
  );
}
