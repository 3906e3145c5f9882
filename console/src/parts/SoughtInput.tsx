/** A field whose text is in the address, where it comes a moment after it was typed. */
import { TextInput, type TextInputProps } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useRef, useState } from "react";

const PAUSE_MS = 250;

interface Props extends Omit<TextInputProps, "value" | "onChange"> {
  sought: string | undefined;
  onSeek: (text: string | undefined) => void;
}

export function SoughtInput({ sought, onSeek, ...field }: Props) {
  const [typed, setTyped] = useState(sought ?? "");
  // On their way to the address. When they arrive, more was perhaps typed, which they must not take the place of.
  const sent = useRef(new Set<string | undefined>());
  const last = useRef(sought);
  const seek = useDebouncedCallback((text: string) => {
    const wanted = text.trim() || undefined;
    if (wanted === last.current) return;
    last.current = wanted;
    if (wanted !== sought) sent.current.add(wanted);
    onSeek(wanted);
  }, PAUSE_MS);
  useEffect(() => {
    if (sent.current.delete(sought)) {
      // Those before it were overtaken.
      if (sought === last.current) sent.current.clear();
      return;
    }
    seek.cancel();
    sent.current.clear();
    last.current = sought;
    setTyped(sought ?? "");
  }, [sought, seek]);
  return (
    <TextInput
      {...field}
      value={typed}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        seek(event.currentTarget.value);
      }}
    />
  );
}
