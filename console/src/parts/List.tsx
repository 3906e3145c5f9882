/** The list that a page is there for: its rows, or why there are none. */
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { type Column, DataTable, type Paging } from "./DataTable";
import { Failure } from "./Feedback";
import { SearchedTo, SearchOn } from "./Searched";

interface Props<Row> {
  id: string;
  label: string;
  columns: Column<Row>[];
  query: UseQueryResult<{ items: Row[]; searched_to?: string | null }>;
  /** Stands in place of a table without rows. */
  empty?: ReactNode;
  paging?: Paging;
}

export function List<Row extends { id: string }>({ query, empty, ...table }: Props<Row>) {
  const rows = query.data?.items;
  // Rows that are there already stay, whatever became of asking anew.
  if (query.error && !rows) return <Failure error={query.error} again={() => void query.refetch()} />;
  const searchedTo = query.data?.searched_to;
  if (searchedTo && rows?.length === 0 && table.paging)
    return <SearchOn at={searchedTo} paging={table.paging} />;
  if (empty && rows?.length === 0) return empty;
  return (
    <DataTable
      {...table}
      rows={rows}
      rowKey={(row) => row.id}
      busy={query.isPlaceholderData}
      notice={searchedTo && <SearchedTo at={searchedTo} />}
    />
  );
}
