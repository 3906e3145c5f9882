/** The people of the account: who they are, what they may do, and who is invited. */
import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { session } from "../../api/queries";
import { invitations, users } from "../../api/users";
import { DataTable } from "../../parts/DataTable";
import { List } from "../../parts/List";
import { Page, Section } from "../../parts/Page";
import { useInvitationColumns, useUserColumns } from "./columns";
import { Inviting } from "./Inviting";

export function Component() {
  const { t } = useTranslation();
  const me = useQuery(session).data;
  const people = useQuery(users);
  const invited = useQuery(invitations);
  const [inviting, dialog] = useDisclosure();
  const mine = me?.login.role ?? "viewer";
  const userColumns = useUserColumns(mine);
  const invitationColumns = useInvitationColumns();
  const waiting = invited.data?.items;
  return (
    <Page
      title={t("users.title")}
      intro={t("users.intro")}
      action={
        <Button onClick={dialog.open} leftSection={<IconPlus size={15} aria-hidden />}>
          {t("users.invite")}
        </Button>
      }
    >
      <List id="users" label={t("users.list")} columns={userColumns} query={people} />
      {waiting && waiting.length > 0 && (
        <Section title={t("users.invitations")} hint={t("users.invitationsHint")}>
          <DataTable
            id="invitations"
            label={t("users.invitations")}
            columns={invitationColumns}
            rows={waiting}
            rowKey={(row) => row.id}
          />
        </Section>
      )}
      <Inviting opened={inviting} close={dialog.close} mine={mine} />
    </Page>
  );
}
