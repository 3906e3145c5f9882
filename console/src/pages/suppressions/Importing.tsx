/** A list of addresses from a file, and what became of each line of it. */
import { Alert, FileInput, Stack, Table, Text } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { importSuppressions } from "../../api/suppressions";
import type { ImportReport } from "../../api/types";
import { count } from "../../format/number";
import { useAct } from "../../parts/act";
import { FormDialog } from "../../parts/FormDialog";

/** So many bad lines are shown. */
const SHOWN = 20;

export function Importing({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useTranslation();
  const [file, choose] = useState<File | null>(null);
  const [report, told] = useState<ImportReport>();
  const [missing, setMissing] = useState(false);
  const bring = useAct({
    run: async (list: File) => importSuppressions(await list.text()),
    stale: [["suppressions"]],
    silent: true,
    done: told,
  });
  const leave = () => {
    choose(null);
    told(undefined);
    bring.reset();
    close();
  };
  return (
    <FormDialog
      opened={opened}
      close={leave}
      title={t("suppressions.import")}
      onSubmit={(event) => {
        event.preventDefault();
        if (report) leave();
        else if (file) bring.mutate(file);
        else setMissing(true);
      }}
      submit={report ? t("suppressions.done") : t("suppressions.import")}
      busy={bring.isPending}
      fault={bring.error}
    >
      {report ? (
        <Outcome report={report} />
      ) : (
        <FileInput
          label={t("suppressions.file")}
          description={t("suppressions.fileHint")}
          placeholder={t("suppressions.choose")}
          accept=".csv,.txt,text/csv,text/plain"
          withAsterisk
          value={file}
          onChange={(next) => {
            choose(next);
            setMissing(false);
          }}
          error={missing && t("suppressions.needFile")}
        />
      )}
    </FormDialog>
  );
}

function Outcome({ report }: { report: ImportReport }) {
  const { t } = useTranslation();
  const rest = report.refused - Math.min(report.lines.length, SHOWN);
  return (
    <Stack gap="xs" role="status">
      <Text>{t("suppressions.outcome", { added: count(report.added), already: count(report.already) })}</Text>
      {report.full_from !== null && (
        <Alert color="red" variant="outline">
          {t("suppressions.full", { line: count(report.full_from) })}
        </Alert>
      )}
      {report.refused > 0 && (
        <>
          <Text fw={600}>
            {t("suppressions.refused", { count: report.refused, n: count(report.refused) })}
          </Text>
          <Table.ScrollContainer minWidth={0}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("suppressions.line")}</Table.Th>
                  <Table.Th>{t("suppressions.what")}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {report.lines.slice(0, SHOWN).map((line) => (
                  <Table.Tr key={line.line}>
                    <Table.Td>{count(line.line)}</Table.Td>
                    <Table.Td>
                      <bdi>{line.text}</bdi>
                      <Text size="xs" c="dimmed">
                        {line.problem}
                      </Text>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          {rest > 0 && <Text size="sm">{t("suppressions.andMore", { count: rest, n: count(rest) })}</Text>}
        </>
      )}
    </Stack>
  );
}
