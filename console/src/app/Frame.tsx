/** The frame of the console: rail, top bar, notices, the page. Below 768 px the rail becomes a drawer. */
import {
  ActionIcon,
  Alert,
  Button,
  Drawer,
  Kbd,
  Menu,
  Text,
  Tooltip,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { spotlight } from "@mantine/spotlight";
import {
  IconBan,
  IconDatabaseOff,
  IconDeviceDesktop,
  IconLogout,
  IconMenu2,
  IconMoon,
  IconPlayerPause,
  IconSearch,
  IconSun,
  IconUser,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { commands, ownGuard, session } from "../api/queries";
import type { Me } from "../api/types";
import { count } from "../format/number";
import { low } from "../pages/credits/low";
import { useAct } from "../parts/act";
import { Logo } from "../parts/Logo";
import { Page } from "../parts/Page";
import { LANGUAGES, language, speak } from "../words/language";
import { Announcements } from "./Announcements";
import { BASE } from "./base";
import { cache } from "./cache";
import { Finder } from "./Finder";
import classes from "./Frame.module.css";
import { Impersonation } from "./Impersonation";
import { groups, opens } from "./places";

export function Frame() {
  const { t } = useTranslation();
  const me = useQuery(session);
  const [open, drawer] = useDisclosure();
  const main = useSignedIn(me.data);
  useFocusOnNewPage(main, drawer.close);
  if (!me.data) return null;
  return (
    <div className={classes.frame}>
      <a href="#main" className={classes.skip}>
        {t("frame.skip")}
      </a>
      <aside className={classes.rail}>
        <div className={classes.railStays}>
          <Brand />
          <Rail me={me.data} />
        </div>
      </aside>
      <Drawer
        opened={open}
        onClose={drawer.close}
        size={260}
        title={<Brand />}
        closeButtonProps={{ "aria-label": t("common.close") }}
      >
        <Rail me={me.data} />
      </Drawer>
      <div className={classes.right}>
        <Impersonation me={me.data} />
        <TopBar me={me.data} openMenu={drawer.open} />
        <main id="main" ref={main} tabIndex={-1} className={classes.main}>
          <Notices me={me.data} offline={me.isError} />
          <Opened me={me.data} />
        </main>
      </div>
      <Finder me={me.data} />
    </div>
  );
}

/** The page, or, where the role does not open it, why. */
function Opened({ me }: { me: Me }) {
  const { t } = useTranslation();
  const path = useRouterState({ select: (state) => state.location.pathname });
  if (opens(me, path)) return <Outlet />;
  const [title, means] = me.impersonation
    ? [t("impersonation.shut"), t("impersonation.shutMeans", { name: me.account.name })]
    : [t("error.beyondRole"), t("error.beyondRoleMeans", { role: t(`users.role.${me.login.role}`) })];
  return (
    <Page title={title} narrow>
      <Text maw="60ch">{means}</Text>
      <Button component={Link} to="/" variant="default" mt="md" style={{ alignSelf: "flex-start" }}>
        {t("error.toOverview")}
      </Button>
    </Page>
  );
}

/** Leads to the sign-in page as soon as the server no longer knows this session. */
function useSignedIn(me: Me | null | undefined) {
  const main = useRef<HTMLElement>(null);
  const navigate = useNavigate();
  const here = useRouterState({ select: (state) => state.location.href });
  useEffect(() => {
    if (me === null) void navigate({ to: "/sign-in", search: { next: here, ended: true } });
  }, [me, here, navigate]);
  return main;
}

/** A new page starts at its heading, for eyes and for screen readers alike. */
function useFocusOnNewPage(main: React.RefObject<HTMLElement | null>, arrived: () => void) {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const before = useRef(path);
  useEffect(() => {
    if (before.current !== undefined && before.current !== path) {
      arrived();
      const heading = main.current?.querySelector<HTMLElement>("h1");
      (heading ?? main.current)?.focus({ preventScroll: true });
    }
    before.current = path;
  }, [path, main, arrived]);
}

function Brand() {
  const { t } = useTranslation();
  return (
    <Link to="/" className={classes.brand}>
      <Logo />
      <span>{t("name")}</span>
    </Link>
  );
}

function Rail({ me }: { me: Me }) {
  const { t } = useTranslation();
  return (
    <nav aria-label={t("frame.pages")} className={classes.nav}>
      {groups(me).map((group) => (
        <div key={group.id} className={classes.group}>
          {group.label && <div className={classes.groupName}>{t(group.label)}</div>}
          {group.places.map(({ to, label, Icon, exact }) => (
            <Link
              key={to}
              to={to}
              className={classes.place}
              activeOptions={{ exact: exact ?? false, includeSearch: false }}
              activeProps={{ "aria-current": "page" }}
            >
              <Icon size={17} stroke={1.7} aria-hidden />
              {t(label)}
            </Link>
          ))}
        </div>
      ))}
    </nav>
  );
}

function TopBar({ me, openMenu }: { me: Me; openMenu: () => void }) {
  const { t } = useTranslation();
  return (
    // Not a <header>: the title of an open dialog is one, and a page has one banner.
    <section className={classes.bar} aria-label={t("frame.bar")}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size={32}
        className={classes.burger}
        onClick={openMenu}
        aria-label={t("frame.menu")}
      >
        <IconMenu2 size={19} aria-hidden />
      </ActionIcon>
      <button type="button" className={classes.search} onClick={spotlight.open}>
        <IconSearch size={15} aria-hidden />
        <span>{t("frame.search")}</span>
        <Kbd size="xs" className={classes.keys}>
          Ctrl K
        </Kbd>
      </button>
      <div className={classes.spring} />
      {me.server.route === "capture" && (
        <Tooltip label={t("frame.capturedWhy")} multiline w={280}>
          <Link to="/inbox" className={classes.captured}>
            {t("frame.captured")}
          </Link>
        </Tooltip>
      )}
      {me.account.credits !== null && (
        <Link to="/account/credits" className={classes.credits}>
          {t("frame.credits", { count: me.account.credits, n: count(me.account.credits) })}
        </Link>
      )}
      <Person me={me} />
    </section>
  );
}

const SCHEMES = [
  ["auto", IconDeviceDesktop],
  ["light", IconSun],
  ["dark", IconMoon],
] as const;

/** Each in its own words, so that it is found by whoever cannot read the present one. */
const NAMES = { en: "English", fr: "Français" } as const;

function Person({ me }: { me: Me }) {
  const { t } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const email = me.impersonation?.by ?? me.login.email;
  const signOut = async () => {
    await commands.signOut();
    // A fresh document: nothing of what was seen stays in memory.
    cache.clear();
    window.location.assign(`${BASE}/sign-in`);
  };
  return (
    <Menu width={260}>
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          size="compact-sm"
          px={8}
          leftSection={<IconUser size={16} aria-hidden />}
          aria-label={t("frame.signedInAs", { email })}
        >
          <span className={classes.email}>{email}</span>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label className={classes.who}>{t("frame.signedInAs", { email })}</Menu.Label>
        <Menu.Item component={Link} to="/account" leftSection={<IconUser size={16} aria-hidden />}>
          {t("nav.account")}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>{t("frame.scheme")}</Menu.Label>
        {SCHEMES.map(([scheme, Icon]) => (
          <Menu.RadioItem
            key={scheme}
            value={scheme}
            checked={colorScheme === scheme}
            onChange={() => setColorScheme(scheme)}
            rightSection={<Icon size={16} aria-hidden />}
          >
            {t(`frame.schemes.${scheme}`)}
          </Menu.RadioItem>
        ))}
        <Menu.Divider />
        <Menu.Label>{t("frame.language")}</Menu.Label>
        {LANGUAGES.map((one) => (
          <Menu.RadioItem
            key={one}
            value={one}
            checked={one === language}
            onChange={() => speak(one)}
            lang={one}
          >
            {NAMES[one]}
          </Menu.RadioItem>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void signOut()} leftSection={<IconLogout size={16} aria-hidden />}>
          {t("frame.signOut")}
        </Menu.Item>
        <Menu.Label>{t("frame.version", { version: me.server.version })}</Menu.Label>
      </Menu.Dropdown>
    </Menu>
  );
}

/** Only where it is urgent: at a fifth a mail and the overview say so. */
function FewCredits({ account }: { account: Me["account"] }) {
  const { t } = useTranslation();
  const few = low(account);
  if (few !== "twentieth" && few !== "nothing") return null;
  return (
    <Alert color={few === "nothing" ? "red" : "yellow"} variant="outline" mb="md" py="xs">
      {few === "nothing"
        ? t("credits.lowGone")
        : t("credits.low", { n: count(account.credits ?? 0), mark: count(account.credit_mark) })}{" "}
      <Link to="/account/credits">{t("nav.credits")}</Link>
    </Alert>
  );
}

/** The account was paused by itself: why, what that means for its mail, what to do, and who decides. */
function Paused({ reason }: { reason: string }) {
  const { t } = useTranslation();
  const guard = useQuery(ownGuard).data;
  const resume = useAct({
    run: commands.resumeOwn,
    stale: [["session"], ["account"]],
    said: () => t("guard.resumed"),
  });
  const pause = guard?.pause;
  return (
    <Alert color="yellow" variant="outline" mb="md" py="xs" icon={<IconPlayerPause aria-hidden />}>
      <strong>{t("guard.banner")}.</strong>{" "}
      {pause
        ? t(`guard.${pause.cause}Reason`, {
            failed: count(pause.failed),
            of: count(pause.of),
            most: pause.most,
          })
        : reason}
      . {t("guard.bannerText")} {pause && t(`guard.banner_${pause.decides}`)}{" "}
      <a href="/help/account-paused">{t("guard.help")}</a>
      {pause?.decides === "owner" && (
        <Button
          size="compact-sm"
          variant="default"
          ml="sm"
          loading={resume.isPending}
          onClick={() => resume.mutate()}
        >
          {t("guard.resume")}
        </Button>
      )}
    </Alert>
  );
}

/** The server takes nothing new: what that means for mail, and for who runs it what to do. */
function Storage({ me }: { me: Me }) {
  const { t } = useTranslation();
  const { storage } = me.server;
  if (storage === "fine") return null;
  return (
    <Alert color="red" variant="outline" role="alert" mb="md" py="xs" icon={<IconDatabaseOff aria-hidden />}>
      <strong>{t(`frame.storage.${storage}`)}</strong> {t("frame.storage.means")}{" "}
      {me.account.operator ? t(`frame.storage.${storage}Remedy`) : t("frame.storage.operatorKnows")}
    </Alert>
  );
}

function Notices({ me, offline }: { me: Me; offline: boolean }) {
  const { t } = useTranslation();
  const { state, state_reason, sandbox } = me.account;
  return (
    <>
      <Announcements stay={me.impersonation !== null} />
      {offline && (
        <Alert color="red" variant="outline" role="alert" mb="md" py="xs">
          {t("frame.offline")}
        </Alert>
      )}
      <Storage me={me} />
      {state === "suspended" && (
        <Alert color="red" variant="outline" mb="md" py="xs" icon={<IconBan aria-hidden />}>
          {state_reason ? t("frame.suspended", { reason: state_reason }) : t("frame.suspendedNoReason")}
        </Alert>
      )}
      <FewCredits account={me.account} />
      {state === "paused" && <Paused reason={state_reason ?? ""} />}
      {sandbox && (
        <Alert color="blue" variant="outline" mb="md" py="xs">
          {t("frame.sandbox")} <Link to="/domains">{t("nav.domains")}</Link>
        </Alert>
      )}
    </>
  );
}
