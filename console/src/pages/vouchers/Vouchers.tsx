/** For operators: codes that stand for credits, batch by batch. */
import { Alert, Button, Group, NumberInput, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus, IconTicket } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api/client";
import { createVouchers, revokeVouchers, vouchers } from "../../api/credits";
import type { NewVouchers, VoucherBatch } from "../../api/types";
import { save } from "../../format/csv";
import { count } from "../../format/number";
import { day } from "../../format/time";
import { useAct } from "../../parts/act";
import { CodeBlock } from "../../parts/Copy";
import { actColumn, agoColumn } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { Empty } from "../../parts/Feedback";
import { FormDialog } from "../../parts/FormDialog";
import { List } from "../../parts/List";
import { Page } from "../../parts/Page";
import { usePaging } from "../../parts/paging";

const route = getRouteApi("/frame/vouchers");

export function Component() {
  const { t } = useTranslation();
  const { after } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery(vouchers(after));
  const [creating, dialog] = useDisclosure();
  const [made, setMade] = useState<NewVouchers>();
  const columns = useColumns();
  const rows = query.data?.items;
  const paging = usePaging(query.data?.next, after, (to, options) =>
    navigate({ search: to ? { after: to } : {}, ...options }),
  );
  const create = (
    <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
      {t("vouchers.create")}
    </Button>
  );
  return (
    <Page title={t("vouchers.title")} intro={t("vouchers.intro")} action={rows?.length ? create : null}>
      {made && <Once made={made} done={() => setMade(undefined)} />}
      <List
        id="vouchers"
        label={t("vouchers.title")}
        columns={columns}
        query={query}
        paging={paging}
        empty={
          <Empty title={t("vouchers.emptyTitle")} hint={t("vouchers.emptyHint")}>
            {create}
          </Empty>
        }
      />
      <Creating opened={creating} close={dialog.close} made={setMade} />
    </Page>
  );
}

function useColumns(): Column<VoucherBatch>[] {
  const { t } = useTranslation();
  const revoke = useAct({
    run: (row: VoucherBatch) => revokeVouchers(row.id),
    stale: [["vouchers"]],
    said: (row) => t("vouchers.revoked", { reason: row.reason }),
  });
  const ask = (row: VoucherBatch) =>
    confirm({
      title: t("vouchers.revokeTitle", { reason: row.reason }),
      text: t("vouchers.revokeText", { count: row.codes, n: count(row.codes) }),
      yes: t("vouchers.revoke"),
      act: () => revoke.mutate(row),
    });
  const ends = (row: VoucherBatch) =>
    row.expires_at ? day(Date.parse(row.expires_at)) : t("vouchers.forGood");
  return [
    {
      id: "reason",
      header: t("vouchers.reason"),
      wide: true,
      cell: (row) => <bdi>{row.reason}</bdi>,
      text: (row) => row.reason,
    },
    {
      id: "amount",
      header: t("vouchers.amount"),
      numeric: true,
      cell: (row) => count(row.amount),
      text: (row) => row.amount,
    },
    {
      id: "codes",
      header: t("vouchers.codes"),
      need: 2,
      numeric: true,
      cell: (row) => count(row.codes),
      text: (row) => row.codes,
    },
    {
      id: "used",
      header: t("vouchers.used"),
      numeric: true,
      cell: (row) => t("vouchers.usedOf", { used: count(row.used), all: count(row.codes * row.uses) }),
      text: (row) => row.used,
    },
    {
      id: "ends",
      header: t("vouchers.ends"),
      need: 2,
      numeric: true,
      cell: ends,
      text: (row) => row.expires_at ?? "",
    },
    agoColumn({ id: "created", header: t("vouchers.created"), need: 3, at: (row) => row.created_at }),
    actColumn({
      id: "revoke",
      label: t("vouchers.revoke"),
      name: (row) => row.reason,
      act: ask,
      instead: (row) => (row.revoked_at ? t("vouchers.isRevoked") : null),
    }),
  ];
}

function Once({ made, done }: { made: NewVouchers; done: () => void }) {
  const { t } = useTranslation();
  const text = made.codes.join("\n");
  return (
    <Alert
      color="teal"
      variant="outline"
      icon={<IconTicket aria-hidden />}
      title={t("vouchers.once", { count: made.codes.length, n: count(made.codes.length) })}
    >
      <Stack gap="xs">
        <Text>{t("vouchers.onceHint")}</Text>
        <CodeBlock text={text} what={made.batch.reason} />
        <Group gap="xs">
          <Button size="xs" onClick={() => save("vouchers.txt", `${text}\n`, "text/plain;charset=utf-8")}>
            {t("vouchers.save")}
          </Button>
          <Button size="xs" variant="default" onClick={done}>
            {t("vouchers.done")}
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

interface CreatingProps {
  opened: boolean;
  close: () => void;
  made: (vouchers: NewVouchers) => void;
}

function Creating({ opened, close, made }: CreatingProps) {
  const { t } = useTranslation();
  const form = useForm({
    initialValues: {
      reason: "",
      amount: 500 as number | string,
      codes: 1 as number | string,
      uses: 1 as number | string,
      until: "",
    },
    validate: {
      reason: (reason) => (reason.trim() === "" ? t("vouchers.needReason") : null),
      amount: (amount) => (typeof amount === "number" ? null : t("vouchers.needNumber")),
      codes: (codes) => (typeof codes === "number" ? null : t("vouchers.needNumber")),
      uses: (uses) => (typeof uses === "number" ? null : t("vouchers.needNumber")),
    },
  });
  const create = useAct({
    run: ({ reason, amount, codes, uses, until }: typeof form.values) =>
      createVouchers({
        reason: reason.trim(),
        amount: Number(amount),
        codes: Number(codes),
        uses: Number(uses),
        // The day that is named is the last one.
        ...(until && { expires_at: new Date(`${until}T23:59:59`).toISOString() }),
      }),
    stale: [["vouchers"]],
    silent: true,
    done: (vouchers) => {
      made(vouchers);
      form.reset();
      close();
    },
  });
  const faults = create.error instanceof ApiError ? create.error.fields : {};
  const number = (name: "amount" | "codes" | "uses", max: number) => ({
    label: t(`vouchers.${name}`),
    description: t(`vouchers.${name}Hint`),
    min: 1,
    max,
    allowDecimal: false,
    thousandSeparator: ",",
    withAsterisk: true,
    ...form.getInputProps(name),
    error: form.errors[name] ?? faults[name],
  });
  return (
    <FormDialog
      opened={opened}
      close={close}
      title={t("vouchers.create")}
      onSubmit={form.onSubmit((values) => create.mutate(values))}
      submit={t("vouchers.create")}
      busy={create.isPending}
      fault={create.error}
    >
      <TextInput
        label={t("vouchers.reason")}
        description={t("vouchers.reasonHint")}
        withAsterisk
        maxLength={200}
        data-autofocus
        {...form.getInputProps("reason")}
        error={form.errors.reason ?? faults.reason}
      />
      <NumberInput {...number("amount", 1_000_000_000_000)} />
      <NumberInput {...number("codes", 1_000)} />
      <NumberInput {...number("uses", 1_000_000)} />
      <TextInput
        type="date"
        label={t("vouchers.until")}
        description={t("vouchers.untilHint")}
        {...form.getInputProps("until")}
        error={faults.expires_at}
      />
    </FormDialog>
  );
}
