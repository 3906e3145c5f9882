/** Downloads a list as a sheet. An operator who sees the console as an account is given none, and so is offered none. */
import { Button } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { session } from "../api/queries";

interface Props {
  href: string;
  says: string;
  /** Among several on one page, which one it is. */
  name?: string;
}

export function Sheet({ href, says, name }: Props) {
  const me = useQuery(session).data;
  if (!me || me.impersonation) return null;
  const icon = <IconDownload size={name ? 14 : 15} aria-hidden />;
  return (
    <Button
      component="a"
      href={href}
      download
      size={name ? "xs" : "sm"}
      variant="default"
      leftSection={icon}
      aria-label={name && `${says}: ${name}`}
    >
      {says}
    </Button>
  );
}
