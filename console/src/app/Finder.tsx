/** Ctrl-K: the pages by name, a message by its id, and messages by recipient or subject. */
import { Spotlight } from "@mantine/spotlight";
import { IconMail, IconSearch } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Me } from "../api/types";
import { groups } from "./places";

/** What fits without scrolling, which a keyboard could not do; typing finds the others. */
const SHOWN = 8;

const MESSAGE_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function Finder({ me }: { me: Me }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const q = typed.trim();
  const pages = groups(me)
    .flatMap((group) => group.places)
    .filter(({ label }) => t(label).toLowerCase().includes(q.toLowerCase()))
    .slice(0, SHOWN);
  return (
    <Spotlight.Root
      query={typed}
      onQueryChange={setTyped}
      shortcut={["mod + K"]}
      scrollable
      maxHeight={420}
      overlayProps={{ blur: 0 }}
      attributes={{ content: { "aria-label": t("frame.search") } }}
    >
      <Spotlight.Search
        placeholder={t("spotlight.placeholder")}
        aria-label={t("spotlight.placeholder")}
        leftSection={<IconSearch size={18} aria-hidden />}
      />
      <Spotlight.ActionsList>
        {MESSAGE_ID.test(q) && (
          <Spotlight.Action
            leftSection={<IconMail size={18} aria-hidden />}
            label={t("spotlight.openMessage")}
            description={q}
            onClick={() => void navigate({ to: "/messages/$id", params: { id: q.toLowerCase() } })}
          />
        )}
        {pages.map(({ to, label, Icon }) => (
          <Spotlight.Action
            key={to}
            leftSection={<Icon size={18} aria-hidden />}
            label={t(label)}
            onClick={() => void navigate({ to })}
          />
        ))}
        {q !== "" && (
          <Spotlight.Action
            leftSection={<IconSearch size={18} aria-hidden />}
            label={t("spotlight.messagesTo", { q })}
            description={t("spotlight.messagesToHint")}
            onClick={() => void navigate({ to: "/messages", search: { q } })}
          />
        )}
      </Spotlight.ActionsList>
    </Spotlight.Root>
  );
}
