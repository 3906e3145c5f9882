/** Search and state over a list whose filters are in the address. */
import { Select, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { Filters } from "./Filters";

interface Choice {
  label: string;
  any: string;
  value: string | undefined;
  options: { value: string; label: string }[];
  onChange: (value: string | undefined) => void;
}

interface Props {
  label: string;
  placeholder: string;
  q: string | undefined;
  onSearch: (q: string | undefined) => void;
  choice?: Choice;
  onClear?: (() => void) | undefined;
}

export function ListFilters({ label, placeholder, q, onSearch, choice, onClear }: Props) {
  const [typed, setTyped] = useState(q ?? "");
  useEffect(() => setTyped(q ?? ""), [q]);
  const seek = useDebouncedCallback((text: string) => onSearch(text.trim() || undefined), 250);
  return (
    <Filters {...(onClear && { onClear })}>
      <TextInput
        type="search"
        aria-label={label}
        placeholder={placeholder}
        leftSection={<IconSearch size={15} aria-hidden />}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          seek(event.currentTarget.value);
        }}
        wrapperProps={{ "data-grow": true }}
      />
      {choice && (
        <Select
          aria-label={choice.label}
          placeholder={choice.any}
          clearable
          data={choice.options}
          value={choice.value ?? null}
          onChange={(value) => choice.onChange(value ?? undefined)}
          w={150}
        />
      )}
    </Filters>
  );
}
