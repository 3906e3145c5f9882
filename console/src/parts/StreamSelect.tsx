/** Choosing one of the account's streams; those that are archived are not offered. */
import { Select, type SelectProps } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { streams } from "../api/queries";

export function StreamSelect({ archived, ...props }: Omit<SelectProps, "data"> & { archived?: boolean }) {
  const all = useQuery(streams).data?.items ?? [];
  const shown = archived ? all : all.filter((stream) => !stream.archived_at);
  return (
    <Select clearable {...props} data={shown.map((stream) => ({ value: stream.slug, label: stream.name }))} />
  );
}
