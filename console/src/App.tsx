import AppLayout from "@cloudscape-design/components/app-layout";
import Box from "@cloudscape-design/components/box";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import Spinner from "@cloudscape-design/components/spinner";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import { Api, callError } from "./api/client";
import { SignedContext } from "./hooks";
import { useShortcuts } from "./keyboard";
import { BuildPage } from "./pages/Build";
import { ProjectPage } from "./pages/Project";
import { ProjectsPage } from "./pages/Projects";
import { QueuePage } from "./pages/Queue";
import { SignIn, whoIs } from "./pages/SignIn";
import { followLinks, paths, type Route, useRoute } from "./router";
import { keep, LinkRefused, linkOf, load, open, type Session } from "./session";
import { TEXT } from "./text";
import { useTheme } from "./theme";

// With its editor, which not everybody needs.
const EditProject = lazy(() => import("./pages/EditProject"));

const Dashboard = lazy(() => import("./pages/Dashboard"));

const Credentials = lazy(() => import("./pages/service/Credentials"));
const Images = lazy(() => import("./pages/service/Images"));
const Webhooks = lazy(() => import("./pages/service/Webhooks"));
const Repositories = lazy(() => import("./pages/service/Repositories"));
const Caches = lazy(() => import("./pages/service/Caches"));
const Secrets = lazy(() => import("./pages/service/Secrets"));
const Audit = lazy(() => import("./pages/service/Audit"));
const Access = lazy(() => import("./pages/service/Access"));
const Keyboard = lazy(() => import("./pages/Keyboard"));
const Public = lazy(() => import("./pages/Public"));

/** The link that the page was opened with. It goes from the address, and so from the history, at once. */
const LINK = linkOf(location.hash);
if (location.hash.startsWith("#link=")) history.replaceState(null, "", location.pathname + location.search);

export function App() {
  const [session, setSession] = useState(() => load(Date.now()));
  const [notice, setNotice] = useState<{ header: string; text: string }>();
  const [isOpening, setOpening] = useState(LINK !== undefined);
  const [isDark, toggleTheme] = useTheme();

  const signIn = useCallback((made: Session) => {
    keep(made);
    setSession(made);
    setNotice(undefined);
  }, []);
  const signOut = useCallback((why?: string) => {
    keep(undefined);
    setSession(undefined);
    setNotice(why === undefined ? undefined : { header: TEXT.signIn.signedOut, text: why });
  }, []);

  useEffect(() => {
    document.addEventListener("click", followLinks);
    return () => document.removeEventListener("click", followLinks);
  }, []);

  useEffect(() => {
    if (LINK === undefined) return;
    openOnce(LINK)
      .then(signIn)
      .catch((error: unknown) => {
        const text = error instanceof LinkRefused ? error.message : (callError(error)?.message ?? "");
        setNotice({ header: TEXT.signIn.linkRefused, text });
      })
      .finally(() => setOpening(false));
  }, [signIn]);

  // It ends by itself.
  useEffect(() => {
    if (session?.expiration === undefined) return;
    const left = session.expiration - Date.now();
    const timer = setTimeout(() => signOut(TEXT.signIn.ended), Math.min(Math.max(0, left), 2 ** 31 - 1));
    return () => clearTimeout(timer);
  }, [session, signOut]);

  const route = useRoute();
  const signed = useMemo(() => session && { api: new Api(session), signOut }, [session, signOut]);
  if (route.page === "public") {
    return (
      <Suspense fallback={<Spinner size="large" />}>
        <Public {...route} isDark={isDark} onTheme={toggleTheme} />
      </Suspense>
    );
  }
  if (isOpening) {
    return (
      <Box padding="xxxl" textAlign="center">
        <Spinner size="large" /> {TEXT.signIn.opening}
      </Box>
    );
  }
  if (!session || !signed) return <SignIn onSession={signIn} notice={notice} />;
  return (
    <SignedContext.Provider value={signed}>
      <Shell route={route} session={session} isDark={isDark} onTheme={toggleTheme} onSignOut={() => signOut()} />
    </SignedContext.Provider>
  );
}

let opening: Promise<Session> | undefined;

/** A link can be handed in once, whatever React does. */
function openOnce(link: string): Promise<Session> {
  opening ??= open(link);
  return opening;
}

interface ShellProps {
  route: Route;
  session: Session;
  isDark: boolean;
  onTheme: () => void;
  onSignOut: () => void;
}

function Shell({ route, session, isDark, onTheme, onSignOut }: ShellProps) {
  const shortcuts = useShortcuts();
  const [who, setWho] = useState<string>();
  useEffect(() => {
    whoIs(session).then(setWho, () => setWho(undefined));
  }, [session]);
  const crumbs = crumbsOf(route);
  useEffect(() => {
    document.title = [...crumbs.map((crumb) => crumb.text).reverse(), TEXT.product].join(" · ");
  });
  return (
    <>
      <div id="top">
        <TopNavigation
          identity={{ href: paths.projects, title: TEXT.product }}
          utilities={[
            { type: "button", text: TEXT.projects, href: paths.projects },
            { type: "button", text: TEXT.dashboard.title, href: paths.dashboard({ days: 7 }) },
            { type: "button", text: TEXT.queue, href: paths.queue },
            { type: "menu-dropdown", text: TEXT.service, items: SERVICE },
            {
              type: "menu-dropdown",
              iconName: "user-profile",
              text:
                who
                  ?.split(":")
                  .pop()
                  ?.replace(/^(user|assumed-role)\//, "") ?? session.accessKeyId,
              description: who,
              items: [
                { id: "theme", text: isDark ? TEXT.menu.light : TEXT.menu.dark },
                { id: "keyboard", text: TEXT.keyboard.help },
                { id: "health", text: TEXT.menu.health, href: "/-/health", external: true },
                { id: "out", text: TEXT.menu.signOut },
              ],
              onItemClick: ({ detail }) => {
                if (detail.id === "theme") onTheme();
                else if (detail.id === "keyboard") shortcuts.setShown(true);
                else if (detail.id === "out") onSignOut();
              },
            },
          ]}
          i18nStrings={{ overflowMenuTriggerText: TEXT.menu.more, overflowMenuTitleText: TEXT.menu.more }}
        />
      </div>
      <AppLayout
        headerSelector="#top"
        navigationHide
        toolsHide
        contentType={contentOf(route)}
        maxContentWidth={Number.MAX_VALUE}
        breadcrumbs={crumbs.length > 1 && <BreadcrumbGroup items={crumbs} ariaLabel={TEXT.product} />}
        content={
          <Suspense fallback={<Spinner size="large" />}>
            <Page route={route} />
          </Suspense>
        }
      />
      {shortcuts.isShown && (
        <Suspense>
          <Keyboard shortcuts={shortcuts} />
        </Suspense>
      )}
    </>
  );
}

/** Pages about the service besides its builds. */
const SERVICE = [
  {
    id: "builds",
    text: TEXT.menuGroups.builds,
    items: [
      { id: "repositories", text: TEXT.repositories.title, href: paths.repositories() },
      { id: "webhooks", text: TEXT.webhooks.title, href: paths.webhooks() },
      { id: "images", text: TEXT.images.title, href: paths.images() },
      { id: "caches", text: TEXT.caches.title, href: paths.caches },
      { id: "credentials", text: TEXT.credentials.title, href: paths.credentials },
      { id: "secrets", text: TEXT.secretsAndParameters, href: paths.secrets },
    ],
  },
  {
    id: "account",
    text: TEXT.menuGroups.account,
    items: [
      { id: "access", text: TEXT.access.title, href: paths.access("users") },
      { id: "audit", text: TEXT.audit.title, href: paths.audit({}) },
    ],
  },
];

function contentOf({ page }: Route): "default" | "wizard" | "table" {
  if (page === "build") return "default";
  return page === "create" || page === "edit" ? "wizard" : "table";
}

function crumbsOf(route: Route): { text: string; href: string }[] {
  const projects = { text: TEXT.projects, href: paths.projects };
  switch (route.page) {
    case "project":
      return [projects, { text: route.name, href: paths.project(route.name) }];
    case "build": {
      const [project = route.id, uuid = ""] = route.id.split(":");
      const build = { text: uuid.slice(0, 8) || route.id, href: paths.build(route.id) };
      return [projects, { text: project, href: paths.project(project) }, build];
    }
    case "create":
      return [projects, { text: TEXT.form.new, href: paths.create }];
    case "edit":
      return [
        projects,
        { text: route.name, href: paths.project(route.name) },
        { text: TEXT.form.edit, href: paths.edit(route.name) },
      ];
    case "dashboard":
      return [{ text: TEXT.dashboard.title, href: paths.dashboard(route.filter) }];
    case "queue":
      return [{ text: TEXT.queue, href: paths.queue }];
    case "credentials":
      return [{ text: TEXT.credentials.title, href: paths.credentials }];
    case "webhooks": {
      const hooks = { text: TEXT.webhooks.title, href: paths.webhooks() };
      const { project } = route;
      return project === undefined ? [hooks] : [hooks, { text: project, href: paths.webhooks(project) }];
    }
    case "repositories": {
      const all = { text: TEXT.repositories.title, href: paths.repositories() };
      const { repository } = route;
      return repository === undefined ? [all] : [all, { text: repository, href: paths.repositories(repository) }];
    }
    case "caches":
      return [{ text: TEXT.caches.title, href: paths.caches }];
    case "secrets":
      return [{ text: TEXT.secretsAndParameters, href: paths.secrets }];
    case "audit":
      return [{ text: TEXT.audit.title, href: paths.audit(route.filter) }];
    case "images": {
      const images = { text: TEXT.images.title, href: paths.images() };
      const { repository } = route;
      return repository === undefined ? [images] : [images, { text: repository, href: paths.images(repository) }];
    }
    case "access": {
      const { part, name } = route;
      const of = { text: TEXT.access[part], href: paths.access(part) };
      if (name === undefined || part === "simulator") return [{ text: TEXT.access.title, href: of.href }];
      return [of, { text: name, href: paths.access(part, name) }];
    }
    default:
      return [projects];
  }
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case "projects":
      return <ProjectsPage />;
    case "project":
      return <ProjectPage key={route.name} name={route.name} />;
    case "build":
      return <BuildPage key={route.id} id={route.id} lines={route.lines} />;
    case "create":
    case "edit": {
      const name = route.page === "edit" ? route.name : undefined;
      return <EditProject key={name ?? ""} name={name} />;
    }
    case "dashboard":
      return <Dashboard filter={route.filter} />;
    case "queue":
      return <QueuePage />;
    case "credentials":
      return <Credentials />;
    case "images":
      return <Images key={route.repository ?? ""} repository={route.repository} />;
    case "webhooks":
      return <Webhooks key={route.project ?? ""} project={route.project} />;
    case "repositories":
      return <Repositories key={route.repository ?? ""} repository={route.repository} />;
    case "caches":
      return <Caches />;
    case "secrets":
      return <Secrets />;
    case "audit":
      return <Audit filter={route.filter} />;
    case "access":
      return <Access part={route.part} name={route.name} />;
    case "public":
    case "nothing":
      return <Box padding="xl">{TEXT.nothingHere}</Box>;
  }
}
