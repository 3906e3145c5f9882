/** For operators: every account, searched and paged by the server, and a new one. */
import { Button, Checkbox, NumberInput, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { accounts, commands, session } from "../../api/queries";
import type { Account } from "../../api/types";
import { count } from "../../format/number";
import { useAct } from "../../parts/act";
import { agoColumn } from "../../parts/columns";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { ListFilters } from "../../parts/ListFilters";
import { NewPassword } from "../../parts/NewPassword";
import { Page } from "../../parts/Page";
import { usePaging } from "../../parts/paging";
import { State } from "../../parts/State";
import { SignUp } from "./SignUp";

const route = getRouteApi("/frame/accounts");
const STATES = ["active", "paused", "suspended"] as const;

export function Component() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(accounts({ ...search, limit: 50 }));
  const [creating, dialog] = useDisclosure();
  const columns = useColumns(search.sort, (sort) =>
    navigate({ search: ({ after: _, ...now }) => ({ ...now, sort }) }),
  );
  const filter = (
    change: { q?: string | undefined; state?: (typeof STATES)[number] | undefined },
    replace = false,
  ) => void navigate({ search: ({ after: _, ...now }) => ({ ...now, ...change }), replace });
  const paging = usePaging(query.data?.next, search.after, (after, options) =>
    navigate({ search: (now) => ({ ...now, after }), ...options }),
  );
  const filtered = Boolean(search.q || search.state);
  return (
    <Page
      title={t("accounts.title")}
      intro={t("accounts.intro")}
      action={
        <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
          {t("accounts.create")}
        </Button>
      }
    >
      <ListFilters
        label={t("accounts.search")}
        placeholder={t("accounts.searchPlaceholder")}
        q={search.q}
        onSearch={(q) => filter({ q }, true)}
        choice={{
          label: t("accounts.state"),
          any: t("accounts.anyState"),
          value: search.state,
          options: STATES.map((state) => ({ value: state, label: t(`state.${state}`) })),
          onChange: (state) => filter({ state: STATES.find((one) => one === state) }),
        }}
        onClear={filtered ? () => void navigate({ search: {} }) : undefined}
      />
      <List
        id="accounts"
        label={t("accounts.list")}
        columns={columns}
        query={query}
        paging={paging}
        empty={
          filtered ? (
            <Empty title={t("table.nothingMatches")} hint={t("table.nothingMatchesHint")} />
          ) : (
            <Empty title={t("accounts.emptyTitle")} hint={t("accounts.emptyHint")} />
          )
        }
      />
      <SignUp />
      <Creating opened={creating} close={dialog.close} />
    </Page>
  );
}

type Sort = "oldest" | "name" | "credits";

function useColumns(sort: Sort | undefined, to: (sort: Sort | undefined) => void): Column<Account>[] {
  const { t } = useTranslation();
  const upwards = (by: Sort) => ({
    order: sort === by ? ("ascending" as const) : ("none" as const),
    toggle: () => to(sort === by ? undefined : by),
  });
  return [
    {
      id: "name",
      header: t("accounts.name"),
      wide: true,
      cell: (row) => (
        <Link to="/accounts/$id" params={{ id: row.id }} data-row>
          <bdi>{row.name}</bdi>
        </Link>
      ),
      text: (row) => row.name,
      sort: upwards("name"),
    },
    {
      id: "state",
      header: t("accounts.state"),
      cell: (row) => <State state={row.state} />,
      text: (row) => row.state,
    },
    {
      id: "operator",
      header: t("accounts.operator"),
      need: 3,
      cell: (row) => (row.operator ? t("common.yes") : ""),
      text: (row) => (row.operator ? "yes" : "no"),
    },
    {
      id: "credits",
      header: t("accounts.credits"),
      need: 2,
      numeric: true,
      cell: (row) =>
        row.credits === null || row.credits === undefined ? (
          <span className="quiet">{t("accounts.unlimited")}</span>
        ) : (
          count(row.credits)
        ),
      text: (row) => row.credits ?? "",
      sort: upwards("credits"),
    },
    agoColumn({
      id: "created",
      header: t("accounts.created"),
      need: 2,
      at: (row) => row.created_at,
      sort: {
        order: sort === "oldest" ? "ascending" : sort === undefined ? "descending" : "none",
        toggle: () => to(sort === undefined ? "oldest" : undefined),
      },
    }),
  ];
}

function Creating({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const me = useQuery(session).data;
  const navigate = useNavigate();
  const form = useForm({
    initialValues: { email: "", password: "", operator: false, credits: "" as number | string },
  });
  const create = useAct({
    run: ({ email, password, operator, credits }: typeof form.values) =>
      commands.createAccount({
        email: email.trim(),
        password,
        operator,
        ...(typeof credits === "number" && { credits }),
      }),
    stale: [["accounts"]],
    silent: true,
    said: ({ email }) => t("accounts.created_", { email }),
    done: (account) => {
      close();
      form.reset();
      void navigate({ to: "/accounts/$id", params: { id: account.id } });
    },
  });
  const faults = create.error instanceof ApiError ? create.error.fields : {};
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("accounts.createTitle")}
      onSubmit={form.onSubmit((values) => create.mutate(values))}
      submit={t("accounts.create")}
      busy={create.isPending}
      fault={create.error}
    >
      <Text c="dimmed">{t("accounts.createHint")}</Text>
      <TextInput
        label={t("accounts.email")}
        type="email"
        required
        data-autofocus
        autoComplete="off"
        {...form.getInputProps("email")}
        error={faults.email}
      />
      <NewPassword
        label={t("accounts.password")}
        required
        email={form.values.email}
        error={faults.password}
        value={form.values.password}
        onChange={(event) => form.setFieldValue("password", event.currentTarget.value)}
      />
      <NumberInput
        label={t("accounts.creditsField")}
        description={t("accounts.creditsFieldHint")}
        min={0}
        allowDecimal={false}
        thousandSeparator=","
        {...form.getInputProps("credits")}
        error={faults.credits}
      />
      {me?.login.role === "owner" && (
        <Checkbox
          label={t("accounts.isOperator")}
          description={t("accounts.isOperatorHint")}
          {...form.getInputProps("operator", { type: "checkbox" })}
        />
      )}
    </FormDialog>
  );
}
