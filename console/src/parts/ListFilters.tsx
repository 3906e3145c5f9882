/** Search and state over a list whose filters are in the address. */
import { Select } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { Filters } from "./Filters";
import { SoughtInput } from "./SoughtInput";

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
  return (
    <Filters {...(onClear && { onClear })}>
      <SoughtInput
        type="search"
        aria-label={label}
        placeholder={placeholder}
        leftSection={<IconSearch size={15} aria-hidden />}
        sought={q}
        onSeek={onSearch}
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
