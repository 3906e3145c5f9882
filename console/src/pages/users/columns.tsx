/** What the lists of users and invitations show, and what can be done in each row. */
import { Select, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Role, User, UserInvitation } from "../../api/types";
import { giveRole, handOver, removeUser, sendInvitation, withdrawInvitation } from "../../api/users";
import { useAct } from "../../parts/act";
import { agoColumn, RowAct, RowActs } from "../../parts/columns";
import { confirm } from "../../parts/confirm";
import type { Column } from "../../parts/DataTable";
import { When } from "../../parts/Time";
import { ROLES } from "./roles";

/** Whose role and place somebody of the role `mine` decides about. */
const decides = (mine: Role, about: Role) => mine === "owner" || (mine === "admin" && about !== "owner");

export function useUserColumns(mine: Role): Column<User>[] {
  const { t } = useTranslation();
  const stale = [["users"], ["session"], ["audit"]];
  const give = useAct({
    run: ({ user, role }: { user: User; role: Role }) => giveRole(user.id, role),
    stale,
    said: ({ user, role }) => t("users.given", { email: user.email, role: t(`users.role.${role}`) }),
  });
  const over = useAct({
    run: (user: User) => handOver(user.id),
    stale,
    said: (user) => t("users.handed", { email: user.email }),
  });
  const remove = useAct({
    run: (user: User) => removeUser(user.id),
    stale,
    said: (user) => t("users.removed", { email: user.email }),
  });
  const askRole = (user: User, role: Role) => {
    if (role !== "owner" && !user.you) return give.mutate({ user, role });
    const named = { email: user.email, role: t(`users.role.${role}`) };
    confirm({
      title: t("users.giveTitle", named),
      text: user.you ? t("users.giveYourself") : t("users.giveOwner"),
      yes: t("users.give"),
      act: () => give.mutate({ user, role }),
    });
  };
  const askOver = (user: User) =>
    confirm({
      title: t("users.handOverTitle", { email: user.email }),
      text: t("users.handOverText"),
      yes: t("users.handOver"),
      act: () => over.mutate(user),
    });
  const askRemove = (user: User) =>
    confirm({
      title: t("users.removeTitle", { email: user.email }),
      text: t("users.removeText"),
      yes: t("common.remove"),
      act: () => remove.mutate(user),
    });
  return [
    {
      id: "email",
      header: t("users.email"),
      wide: true,
      cell: (row) => (
        <>
          <bdi>{row.email}</bdi>
          {row.you && <span className="quiet"> {t("users.you")}</span>}
        </>
      ),
      text: (row) => row.email,
    },
    {
      id: "role",
      header: t("users.roleHead"),
      cell: (row) =>
        decides(mine, row.role) ? (
          <Select
            size="xs"
            w={130}
            aria-label={t("users.roleOf", { email: row.email })}
            allowDeselect={false}
            data={ROLES.filter((role) => decides(mine, role)).map((role) => ({
              value: role,
              label: t(`users.role.${role}`),
            }))}
            value={row.role}
            onChange={(role) => role && role !== row.role && askRole(row, role as Role)}
          />
        ) : (
          t(`users.role.${row.role}`)
        ),
      text: (row) => row.role,
    },
    agoColumn({ id: "since", header: t("users.since"), need: 3, at: (row) => row.created_at }),
    {
      id: "acts",
      header: t("common.actions"),
      numeric: true,
      need: 2,
      cell: (row) => (
        <RowActs>
          {mine === "owner" && !row.you && (
            <RowAct label={t("users.handOver")} name={row.email} act={() => askOver(row)} />
          )}
          {decides(mine, row.role) && (
            <RowAct label={t("common.remove")} name={row.email} act={() => askRemove(row)} />
          )}
        </RowActs>
      ),
    },
  ];
}

export function useInvitationColumns(): Column<UserInvitation>[] {
  const { t } = useTranslation();
  const stale = [["users"], ["audit"]];
  const again = useAct({
    run: (row: UserInvitation) => sendInvitation(row.id),
    stale,
    said: (row) => t("users.sentAgain", { email: row.email }),
  });
  const withdraw = useAct({
    run: (row: UserInvitation) => withdrawInvitation(row.id),
    stale,
    said: (row) => t("users.withdrawn", { email: row.email }),
  });
  return [
    {
      id: "email",
      header: t("users.email"),
      wide: true,
      cell: (row) => (
        <>
          <bdi>{row.email}</bdi>
          {row.invited_by && (
            <Text size="xs" c="dimmed">
              {t("users.invitedBy", { email: row.invited_by })}
            </Text>
          )}
        </>
      ),
      text: (row) => row.email,
    },
    {
      id: "role",
      header: t("users.roleHead"),
      need: 2,
      cell: (row) => t(`users.role.${row.role}`),
      text: (row) => row.role,
    },
    {
      id: "expires",
      header: t("users.expires"),
      need: 3,
      numeric: true,
      cell: (row) => <When at={row.expires_at} />,
      text: (row) => row.expires_at,
    },
    {
      id: "acts",
      header: t("common.actions"),
      numeric: true,
      cell: (row) => (
        <RowActs>
          <RowAct
            label={t("users.sendAgain")}
            name={row.email}
            act={() => again.mutate(row)}
            busy={again.isPending && again.variables?.id === row.id}
          />
          <RowAct label={t("users.withdraw")} name={row.email} act={() => withdraw.mutate(row)} />
        </RowActs>
      ),
    },
  ];
}
