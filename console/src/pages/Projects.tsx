import {
  BatchGetBuildsCommand,
  BatchGetProjectsCommand,
  type Build,
  ListBuildsForProjectCommand,
  ListProjectsCommand,
  type Project,
} from "@aws-sdk/client-codebuild";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Pagination from "@cloudscape-design/components/pagination";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState } from "react";
import { type Api, type CallError, callError } from "../api/client";
import { ago, count, duration } from "../format";
import { useNow, useReading, useSigned } from "../hooks";
import { Denied, Problem } from "../parts/Problem";
import { Spark } from "../parts/Spark";
import { Status } from "../parts/status";
import { paths } from "../router";
import { TEXT } from "../text";

/** Projects of a page. */
const PAGE = 20;
/** Builds that the success rate is of. */
const RATED = 15;

interface Row {
  name: string;
  project?: Project;
  builds: Build[];
  denied?: CallError;
}

async function names(api: Api, signal: AbortSignal): Promise<string[]> {
  const all: string[] = [];
  let nextToken: string | undefined;
  do {
    const input = { sortBy: "NAME", sortOrder: "ASCENDING", nextToken } as const;
    const page = await api.codebuild.send(new ListProjectsCommand(input), { abortSignal: signal });
    all.push(...(page.projects ?? []));
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return all;
}

/** What is shown of these projects: what they are, and their last builds. */
async function read(api: Api, some: string[], signal: AbortSignal): Promise<Row[]> {
  if (some.length === 0) return [];
  const options = { abortSignal: signal };
  const rows: Row[] = some.map((name) => ({ name, builds: [] }));
  const described = api.codebuild.send(new BatchGetProjectsCommand({ names: some }), options).then(
    (found) => {
      for (const row of rows) row.project = found.projects?.find((project) => project.name === row.name);
    },
    // Names alone are shown then.
    (thrown) => rethrowUnlessDenied(thrown),
  );
  const lists = rows.map(async (row) => {
    try {
      const input = { projectName: row.name, sortOrder: "DESCENDING" } as const;
      const page = await api.codebuild.send(new ListBuildsForProjectCommand(input), options);
      return page.ids?.slice(0, RATED) ?? [];
    } catch (thrown) {
      row.denied = rethrowUnlessDenied(thrown);
      return [];
    }
  });
  const builds = async () => {
    const ids = (await Promise.all(lists)).flat();
    const batches: string[][] = [];
    for (let at = 0; at < ids.length; at += 100) batches.push(ids.slice(at, at + 100));
    await Promise.all(
      batches.map(async (batch) => {
        try {
          const found = await api.codebuild.send(new BatchGetBuildsCommand({ ids: batch }), options);
          for (const build of found.builds ?? []) {
            rows.find((row) => row.name === build.projectName)?.builds.push(build);
          }
        } catch (thrown) {
          const denied = rethrowUnlessDenied(thrown);
          for (const row of rows) row.denied ??= denied;
        }
      }),
    );
  };
  // Both at once, so that neither fails where nobody looks.
  await Promise.all([described, builds()]);
  for (const row of rows) row.builds.sort((a, b) => (b.startTime?.getTime() ?? 0) - (a.startTime?.getTime() ?? 0));
  return rows;
}

function rethrowUnlessDenied(thrown: unknown): CallError {
  const error = callError(thrown);
  if (!error?.isDenied) throw thrown;
  return error;
}

export function ProjectsPage() {
  const { api } = useSigned();
  const [filter, setFilter] = useState("");
  const [page, setPage] = useState(1);
  const all = useReading(
    "names",
    (signal) => names(api, signal),
    () => 15_000,
  );
  const found = (all.data ?? []).filter((name) => name.toLowerCase().includes(filter.toLowerCase()));
  const some = found.slice((page - 1) * PAGE, page * PAGE);
  const rows = useReading(
    some.join(" "),
    (signal) => read(api, some, signal),
    (known) => (known?.some((row) => row.builds.some((build) => !build.buildComplete)) ? 3000 : 10_000),
  );
  const now = useNow(true);
  if (all.error && !all.data) return <Problem error={all.error} />;
  const items = rows.data ?? some.map((name): Row => ({ name, builds: [] }));
  const isRead = rows.data !== undefined || some.length === 0;

  return (
    <Table<Row>
      variant="full-page"
      trackBy="name"
      items={items}
      loading={!all.data}
      loadingText={TEXT.loading}
      enableKeyboardNavigation
      header={
        <Header
          variant="awsui-h1-sticky"
          counter={all.data && `(${count(all.data.length)})`}
          actions={
            <Button variant="primary" href={paths.create}>
              {TEXT.form.new}
            </Button>
          }
        >
          {TEXT.projects}
        </Header>
      }
      filter={
        <TextFilter
          filteringText={filter}
          filteringPlaceholder={TEXT.project.filter}
          filteringAriaLabel={TEXT.project.filter}
          countText={TEXT.project.matches(found.length)}
          onChange={({ detail }) => {
            setFilter(detail.filteringText);
            setPage(1);
          }}
        />
      }
      pagination={
        found.length > PAGE && (
          <Pagination
            currentPageIndex={page}
            pagesCount={Math.ceil(found.length / PAGE)}
            onChange={({ detail }) => setPage(detail.currentPageIndex)}
          />
        )
      }
      empty={
        <Box textAlign="center" padding="l">
          <Box variant="strong">{TEXT.project.none}</Box>
          <Box color="text-body-secondary">{TEXT.project.noneMore}</Box>
        </Box>
      }
      columnDefinitions={[
        {
          id: "name",
          header: TEXT.project.name,
          isRowHeader: true,
          minWidth: 140,
          cell: ({ name }) => <Link href={paths.project(name)}>{name}</Link>,
        },
        {
          id: "last",
          header: TEXT.project.last,
          minWidth: 130,
          cell: ({ builds: [last], denied }) => {
            if (denied) return <Denied error={denied} />;
            if (!isRead) return "…";
            if (!last?.id) return TEXT.project.noBuilds;
            return (
              <Link href={paths.build(last.id)}>
                <Status status={last.buildStatus} />
              </Link>
            );
          },
        },
        {
          id: "rate",
          header: TEXT.project.rate,
          minWidth: 180,
          cell: ({ builds }) => <Spark builds={builds} />,
        },
        {
          id: "duration",
          header: TEXT.project.duration,
          minWidth: 100,
          cell: ({ builds: [last] }) =>
            last?.startTime ? duration((last.endTime?.getTime() ?? now) - last.startTime.getTime()) : "–",
        },
        {
          id: "started",
          header: TEXT.project.started,
          minWidth: 110,
          cell: ({ builds: [last] }) => (last?.startTime ? ago(last.startTime, now) : "–"),
        },
        {
          id: "source",
          header: TEXT.project.source,
          minWidth: 120,
          cell: ({ project }) => project?.source?.type ?? "–",
        },
      ]}
    />
  );
}
