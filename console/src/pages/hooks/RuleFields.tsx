/** The fields of a ready rule. */
import { NumberInput, Select, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { StreamSelect } from "../../parts/StreamSelect";
import { RULES, type RuleForm, ruleForm, ruleText } from "./rule";

export function RuleFields({ body, change }: { body: string; change: (body: string) => void }) {
  const { t } = useTranslation();
  const [typing, setTyping] = useState(() => ruleForm(body));
  // What is being typed stays as it is, a comma at its end as well; what comes from elsewhere takes its place.
  const rule = ruleText(typing) === body ? typing : ruleForm(body);
  const set = (more: Partial<RuleForm>) => {
    const next = { ...rule, ...more };
    setTyping(next);
    change(ruleText(next));
  };
  const typed = (name: keyof RuleForm) => (event: { currentTarget: { value: string } }) =>
    set({ [name]: event.currentTarget.value });
  return (
    <>
      <Select
        label={t("hooks.rule")}
        allowDeselect={false}
        value={rule.rule}
        onChange={(value) => set({ rule: RULES.find((one) => one === value) ?? rule.rule })}
        data={RULES.map((value) => ({ value, label: t(`hooks.rules.${value}`) }))}
      />
      {rule.rule === "block_recipients" && (
        <Textarea
          label={t("hooks.patterns")}
          description={t("hooks.patternsHint")}
          autosize
          minRows={4}
          maxRows={16}
          value={rule.patterns}
          onChange={typed("patterns")}
        />
      )}
      {rule.rule === "require_tag" && (
        <TextInput
          label={t("hooks.tags")}
          description={t("hooks.tagsHint")}
          value={rule.tags}
          onChange={typed("tags")}
        />
      )}
      {rule.rule === "require_header" && (
        <TextInput
          label={t("hooks.header")}
          placeholder="X-Team"
          value={rule.header}
          onChange={typed("header")}
        />
      )}
      {rule.rule === "max_size" && (
        <NumberInput
          label={t("hooks.octets")}
          min={1}
          thousandSeparator=" "
          value={rule.octets}
          onChange={(value) => set({ octets: Number(value) })}
        />
      )}
      {rule.rule === "max_recipients" && (
        <NumberInput
          label={t("hooks.most")}
          min={1}
          value={rule.recipients}
          onChange={(value) => set({ recipients: Number(value) })}
        />
      )}
      {rule.rule === "add_footer" && (
        <>
          <Textarea
            label={t("hooks.footer")}
            description={t("hooks.footerHint")}
            autosize
            minRows={3}
            maxRows={12}
            value={rule.footer}
            onChange={typed("footer")}
          />
          <Textarea
            label={t("hooks.footerHtml")}
            description={t("hooks.footerHtmlHint")}
            autosize
            minRows={3}
            maxRows={12}
            classNames={{ input: "mono" }}
            value={rule.html}
            onChange={typed("html")}
          />
        </>
      )}
      {rule.rule === "route" && (
        <>
          <TextInput label={t("hooks.byTag")} value={rule.tag} onChange={typed("tag")} />
          <TextInput label={t("hooks.bySubject")} value={rule.subject} onChange={typed("subject")} />
          <StreamSelect
            label={t("hooks.stream")}
            value={rule.stream || null}
            onChange={(value) => set({ stream: value ?? "" })}
          />
        </>
      )}
      {rule.rule !== "route" && rule.rule !== "add_footer" && (
        <TextInput
          label={t("hooks.text")}
          description={t("hooks.textHint")}
          value={rule.text}
          onChange={typed("text")}
        />
      )}
    </>
  );
}
