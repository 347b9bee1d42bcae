import AppLayout from "@cloudscape-design/components/app-layout";
import Box from "@cloudscape-design/components/box";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import Spinner from "@cloudscape-design/components/spinner";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import { Api, callError } from "./api/client";
import { SignedContext } from "./hooks";
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

  const signed = useMemo(() => session && { api: new Api(session), signOut }, [session, signOut]);
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
      <Shell session={session} isDark={isDark} onTheme={toggleTheme} onSignOut={() => signOut()} />
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
  session: Session;
  isDark: boolean;
  onTheme: () => void;
  onSignOut: () => void;
}

function Shell({ session, isDark, onTheme, onSignOut }: ShellProps) {
  const route = useRoute();
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
                { id: "health", text: TEXT.menu.health, href: "/-/health", external: true },
                { id: "out", text: TEXT.menu.signOut },
              ],
              onItemClick: ({ detail }) => {
                if (detail.id === "theme") onTheme();
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
        content={<Page route={route} />}
      />
    </>
  );
}

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
      return (
        <Suspense fallback={<Spinner size="large" />}>
          <EditProject key={name ?? ""} name={name} />
        </Suspense>
      );
    }
    case "dashboard":
      return (
        <Suspense fallback={<Spinner size="large" />}>
          <Dashboard filter={route.filter} />
        </Suspense>
      );
    case "queue":
      return <QueuePage />;
    case "nothing":
      return <Box padding="xl">{TEXT.nothingHere}</Box>;
  }
}
