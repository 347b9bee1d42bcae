import Alert from "@cloudscape-design/components/alert";
import AppLayout from "@cloudscape-design/components/app-layout";
import Box from "@cloudscape-design/components/box";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Table from "@cloudscape-design/components/table";
import Tabs from "@cloudscape-design/components/tabs";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { useEffect, useMemo, useState } from "react";
import { callError } from "../api/client";
import type { PublicBuild, PublicBuildDetail } from "../api/kiln";
import { getPublic, getPublicArtifact, listPublic, publicLog } from "../api/public";
import { ago, bytes, count, dateTime, duration } from "../format";
import { useNow, useReading } from "../hooks";
import { LogViewer, useLog } from "../log/LogViewer";
import { Problem } from "../parts/Problem";
import { save } from "../parts/save";
import { Status, words } from "../parts/status";
import { Timeline } from "../parts/Timeline";
import { type Lines, navigate, paths } from "../router";
import { TEXT } from "../text";
import { Details } from "./build/Details";

/** Between two looks, while something runs; strangers may ask less often. */
const LOOK = 3000;

export interface PublicProps {
  alias: string;
  build?: string;
  lines?: Lines;
  isDark: boolean;
  onTheme: () => void;
}

/** What anybody sees who has the address: nobody is signed in here, and nothing else is reached. */
export default function Public({ alias, build, lines, isDark, onTheme }: PublicProps) {
  const [project, setProject] = useState<string>();
  const home = { text: project ?? TEXT.public.title, href: paths.public(alias) };
  const crumbs = build === undefined ? [home] : [home, { text: build.slice(0, 8), href: paths.public(alias, build) }];
  useEffect(() => {
    document.title = [project ?? TEXT.public.title, TEXT.product].join(" · ");
  }, [project]);
  return (
    <>
      <div id="top">
        <TopNavigation
          identity={{ href: paths.public(alias), title: TEXT.product }}
          utilities={[
            {
              type: "button",
              text: isDark ? TEXT.menu.light : TEXT.menu.dark,
              onClick: onTheme,
            },
            { type: "button", text: TEXT.public.signIn, href: paths.projects },
          ]}
          i18nStrings={{ overflowMenuTriggerText: TEXT.menu.more, overflowMenuTitleText: TEXT.menu.more }}
        />
      </div>
      <AppLayout
        headerSelector="#top"
        navigationHide
        toolsHide
        maxContentWidth={Number.MAX_VALUE}
        breadcrumbs={crumbs.length > 1 && <BreadcrumbGroup items={crumbs} ariaLabel={TEXT.product} />}
        content={
          build === undefined ? (
            <Builds alias={alias} onProject={setProject} />
          ) : (
            <One key={build} alias={alias} uuid={build} lines={lines} onProject={setProject} />
          )
        }
      />
    </>
  );
}

function Builds({ alias, onProject }: { alias: string; onProject: (name: string) => void }) {
  const [more, setMore] = useState<{ builds: PublicBuild[]; next?: string }>();
  const now = useNow(true);
  const reading = useReading(
    `public ${alias}`,
    (signal) => listPublic(alias, undefined, signal),
    (known) => (known?.builds.some((one) => one.endTime === undefined) ? LOOK : undefined),
  );
  const name = reading.data?.projectName;
  useEffect(() => {
    if (name !== undefined) onProject(name);
  }, [name, onProject]);
  if (!reading.data) {
    if (reading.error?.code === "ResourceNotFoundException") return <Missing />;
    return reading.error ? <Problem error={reading.error} /> : <Spinner size="large" />;
  }
  const next = more ? more.next : reading.data.nextToken;
  // What was read on may begin with builds that came into the first page meanwhile.
  const first = new Set(reading.data.builds.map(({ uuid }) => uuid));
  const builds = [...reading.data.builds, ...(more?.builds.filter(({ uuid }) => !first.has(uuid)) ?? [])];
  const readOn = async () => {
    const page = await listPublic(alias, next).catch(() => undefined);
    if (page) setMore({ builds: [...(more?.builds ?? []), ...page.builds], next: page.nextToken });
  };
  return (
    <Table<PublicBuild>
      trackBy="uuid"
      items={builds}
      enableKeyboardNavigation
      ariaLabels={{ tableLabel: TEXT.project.builds }}
      header={
        <Header variant="h1" description={TEXT.public.title}>
          {reading.data.projectName}
        </Header>
      }
      empty={<Box textAlign="center">{TEXT.public.noBuilds}</Box>}
      footer={
        next !== undefined && (
          <Box textAlign="center">
            <Button onClick={() => void readOn()}>{TEXT.project.more}</Button>
          </Box>
        )
      }
      columnDefinitions={[
        {
          id: "number",
          header: TEXT.project.number,
          isRowHeader: true,
          minWidth: 90,
          cell: ({ uuid, buildNumber }) => (
            <Link href={paths.public(alias, uuid)}>
              {buildNumber === undefined ? uuid.slice(0, 8) : `#${count(buildNumber)}`}
            </Link>
          ),
        },
        {
          id: "status",
          header: TEXT.project.status,
          minWidth: 130,
          cell: ({ buildStatus }) => <Status status={buildStatus} />,
        },
        {
          id: "duration",
          header: TEXT.project.duration,
          minWidth: 100,
          cell: ({ startTime, endTime }) => duration((endTime === undefined ? now : endTime * 1000) - startTime * 1000),
        },
        {
          id: "started",
          header: TEXT.project.started,
          minWidth: 110,
          cell: ({ startTime }) => ago(new Date(startTime * 1000), now),
        },
        {
          id: "version",
          header: TEXT.project.version,
          minWidth: 140,
          cell: ({ sourceVersion, resolvedSourceVersion }) =>
            resolvedSourceVersion?.slice(0, 12) ?? sourceVersion ?? "–",
        },
      ]}
    />
  );
}

function Missing() {
  return <Alert type="warning">{TEXT.public.missing}</Alert>;
}

interface OneProps {
  alias: string;
  uuid: string;
  lines?: Lines;
  onProject: (name: string) => void;
}

function One({ alias, uuid, lines, onProject }: OneProps) {
  const [tab, setTab] = useState("log");
  const reading = useReading(
    `public ${alias} ${uuid}`,
    (signal) => getPublic(alias, uuid, signal),
    (known) => (known && known.endTime === undefined ? LOOK : undefined),
  );
  const build = reading.data;
  const now = useNow(build !== undefined && build.endTime === undefined);
  const name = build?.projectName;
  useEffect(() => {
    if (name !== undefined) onProject(name);
  }, [name, onProject]);
  if (!build) {
    if (reading.error?.code === "ResourceNotFoundException") return <Missing />;
    return reading.error ? <Problem error={reading.error} /> : <Spinner size="large" />;
  }
  const began = build.startTime * 1000;
  const ended = build.endTime === undefined ? now : build.endTime * 1000;
  return (
    <SpaceBetween size="m">
      <Header variant="h1">
        {TEXT.build.title(build.projectName, build.buildNumber)} <Status status={build.buildStatus} />
      </Header>
      <Container>
        <SpaceBetween size="m">
          <KeyValuePairs
            columns={4}
            items={[
              { label: TEXT.build.started, value: dateTime(new Date(began)) },
              { label: TEXT.build.took, value: duration(ended - began) },
              {
                label: TEXT.build.source,
                value: (
                  <span className="break">
                    {build.sourceLocation ?? build.sourceType}
                    {build.resolvedSourceVersion && (
                      <Box variant="small" display="block">
                        {build.resolvedSourceVersion}
                      </Box>
                    )}
                  </span>
                ),
              },
              { label: TEXT.public.compute, value: build.computeType ?? "–" },
            ]}
          />
          <Timeline
            phases={build.phases.map((phase) => ({
              name: phase.phaseType ?? "",
              status: phase.phaseStatus,
              milliseconds: phase.durationInMilliseconds ?? now - (phase.startTime ?? 0) * 1000,
            }))}
          />
        </SpaceBetween>
      </Container>
      <Tabs
        activeTabId={tab}
        i18nStrings={{ scrollLeftAriaLabel: TEXT.build.tabsLeft, scrollRightAriaLabel: TEXT.build.tabsRight }}
        onChange={({ detail }) => setTab(detail.activeTabId)}
        tabs={[
          {
            id: "log",
            label: TEXT.build.log,
            content: build.logIsPublic ? (
              <Log alias={alias} build={build} lines={lines} />
            ) : (
              <Alert type="info">{TEXT.public.logHidden}</Alert>
            ),
          },
          {
            id: "details",
            label: TEXT.build.details,
            content: (
              <Details
                detail={build}
                now={now}
                onLine={(line) => {
                  setTab("log");
                  navigate(paths.public(alias, uuid, { first: line, last: line }), "replace");
                }}
              />
            ),
          },
          { id: "environment", label: TEXT.public.variables, content: <Variables build={build} /> },
          { id: "artifacts", label: TEXT.results.artifacts, content: <Artifacts alias={alias} build={build} /> },
        ]}
      />
    </SpaceBetween>
  );
}

function Log({ alias, build, lines }: { alias: string; build: PublicBuildDetail; lines?: Lines }) {
  const source = useMemo(() => publicLog(alias, build.uuid), [alias, build.uuid]);
  const store = useLog(source);
  const isOver = build.endTime !== undefined;
  return (
    <LogViewer
      source={source}
      store={store}
      commands={build.commands}
      isOver={isOver}
      hasFailed={isOver && build.buildStatus !== "SUCCEEDED" && build.buildStatus !== "STOPPED"}
      lines={lines}
    />
  );
}

function Variables({ build }: { build: PublicBuildDetail }) {
  return (
    <Table
      trackBy="name"
      items={build.variables}
      ariaLabels={{ tableLabel: TEXT.public.variables }}
      header={<Header variant="h2">{TEXT.public.variables}</Header>}
      empty={<Box textAlign="center">{TEXT.environment.none}</Box>}
      columnDefinitions={[
        { id: "name", header: TEXT.overrides.name, isRowHeader: true, cell: ({ name }) => name },
        { id: "value", header: TEXT.overrides.value, cell: () => TEXT.public.hidden },
        { id: "type", header: TEXT.overrides.type, cell: ({ type }) => words(type ?? "PLAINTEXT") },
      ]}
    />
  );
}

function Artifacts({ alias, build }: { alias: string; build: PublicBuildDetail }) {
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState<string>();
  const download = async (name: string, identifier?: string) => {
    setError(undefined);
    setBusy(name);
    try {
      save(await getPublicArtifact(alias, build.uuid, identifier), name);
    } catch (thrown) {
      setError(callError(thrown)?.message);
    }
    setBusy(undefined);
  };
  return (
    <SpaceBetween size="m">
      {error !== undefined && <Alert type="error">{error}</Alert>}
      <Table
        items={build.artifacts}
        wrapLines
        ariaLabels={{ tableLabel: TEXT.results.artifacts }}
        header={<Header variant="h2">{TEXT.results.artifacts}</Header>}
        empty={<Box textAlign="center">{TEXT.results.none}</Box>}
        columnDefinitions={[
          {
            id: "name",
            header: TEXT.results.name,
            isRowHeader: true,
            minWidth: 140,
            cell: ({ artifactIdentifier, fileName }) => artifactIdentifier ?? fileName,
          },
          { id: "files", header: TEXT.results.files, minWidth: 70, cell: ({ files }) => count(files) },
          { id: "size", header: TEXT.results.size, minWidth: 90, cell: (artifact) => bytes(artifact.bytes) },
          {
            id: "download",
            header: TEXT.results.download,
            minWidth: 150,
            cell: ({ artifactIdentifier, fileName, isPublic }) =>
              isPublic ? (
                <Button
                  iconName="download"
                  loading={busy === fileName}
                  onClick={() => void download(fileName, artifactIdentifier)}
                >
                  {TEXT.results.download}
                </Button>
              ) : (
                TEXT.public.notOffered
              ),
          },
        ]}
      />
    </SpaceBetween>
  );
}
