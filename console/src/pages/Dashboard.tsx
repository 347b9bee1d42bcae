import {
  BatchGetBuildsCommand,
  type Build,
  ListBuildsCommand,
  ListBuildsForProjectCommand,
  ListProjectsCommand,
  StatusType,
} from "@aws-sdk/client-codebuild";
import BarChart from "@cloudscape-design/components/bar-chart";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { count, duration } from "../format";
import { useNow, useReading, useSigned } from "../hooks";
import { type Metrics, mean, metrics, period, periods, rate, type Series, sum } from "../metrics";
import { buildColumns } from "../parts/buildColumns";
import { Problem } from "../parts/Problem";
import { words } from "../parts/status";
import { DAYS, type Filter, navigate, paths } from "../router";
import { TEXT } from "../text";

/** Builds that are shown at first, and at each "Load more". */
const SHOWN = 25;
/** Builds that are looked at for those that are like the filter, before somebody asks for more. */
const LOOKED = 1000;
const LOOK = 15_000;

/** How builds went over time, in all or of a project, and which they were. */
export default function Dashboard({ filter }: { filter: Filter }) {
  const { api } = useSigned();
  const change = (some: Partial<Filter>) => navigate(paths.dashboard({ ...filter, ...some }), "replace");
  const projects = useReading("all projects", async (abortSignal) => {
    const names: string[] = [];
    let nextToken: string | undefined;
    do {
      const page = await api.codebuild.send(new ListProjectsCommand({ nextToken }), { abortSignal });
      names.push(...(page.projects ?? []));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
    return names.sort((a, b) => a.localeCompare(b));
  });
  const read = useReading(
    `metrics ${filter.project ?? ""} ${filter.days}`,
    async (signal) => {
      const now = Date.now();
      return { now, ...(await metrics(api, filter, now, signal)) };
    },
    () => LOOK,
  );

  const option = (value: string, label: string) => ({ value, label });
  const allProjects = option("", TEXT.dashboard.allProjects);
  const allStatuses = option("", TEXT.dashboard.allStatuses);
  const names = new Set([...(projects.data ?? []), ...(filter.project === undefined ? [] : [filter.project])]);
  return (
    <SpaceBetween size="l">
      <Header variant="h1">{TEXT.dashboard.title}</Header>
      <ColumnLayout columns={3}>
        <FormField label={TEXT.dashboard.project} stretch>
          <Select
            selectedOption={filter.project === undefined ? allProjects : option(filter.project, filter.project)}
            options={[allProjects, ...[...names].map((name) => option(name, name))]}
            filteringType="auto"
            filteringAriaLabel={TEXT.project.filter}
            virtualScroll={names.size > 100}
            onChange={({ detail }) => change({ project: detail.selectedOption.value || undefined })}
          />
        </FormField>
        <FormField label={TEXT.dashboard.time} stretch>
          <Select
            selectedOption={option(String(filter.days), TEXT.dashboard.days(filter.days))}
            options={DAYS.map((days) => option(String(days), TEXT.dashboard.days(days)))}
            onChange={({ detail }) => change({ days: Number(detail.selectedOption.value) })}
          />
        </FormField>
        <FormField label={TEXT.dashboard.status} stretch>
          <Select
            selectedOption={filter.status === undefined ? allStatuses : option(filter.status, words(filter.status))}
            options={[allStatuses, ...Object.values(StatusType).map((status) => option(status, words(status)))]}
            onChange={({ detail }) => change({ status: detail.selectedOption.value || undefined })}
          />
        </FormField>
      </ColumnLayout>
      {read.error && <Problem error={read.error} />}
      {(read.data || !read.error) && <Charts data={read.data} days={filter.days} />}
      <History key={`${filter.project} ${filter.status} ${filter.days}`} filter={filter} />
    </SpaceBetween>
  );
}

const seconds = (value: number) => duration(value * 1000);

function Charts({ data, days }: { data?: Metrics & { now: number }; days: number }) {
  const begins = data ? periods(days, data.now) : [];
  const length = period(days);
  const isByHour = length < 24 * 3600;
  const format = new Intl.DateTimeFormat(
    "en",
    isByHour ? { hour: "numeric", day: "numeric", month: "short" } : { day: "numeric", month: "short" },
  );
  const name = (begin: number) => format.format(new Date(begin * 1000));
  const success = data && rate(data);
  const took = data && mean(data.durations, data.durationCount);
  const waited = data && mean(data.queuedSum, data.queuedCount);
  const isEmpty = data !== undefined && sum(data.builds) === 0;
  const empty = <Box textAlign="center">{TEXT.dashboard.none}</Box>;
  const bars = (title: string, value: (begin: number) => number, color: string) => ({
    type: "bar" as const,
    title,
    color,
    data: isEmpty ? [] : begins.map((begin) => ({ x: name(begin), y: value(begin) })),
  });
  const of = (series: Series | undefined, begin: number) => series?.get(begin) ?? 0;
  /** Bars, as a period by itself is no line. */
  const times = (title: string, ...series: [string, Series | undefined][]) => (
    <Container header={<Header variant="h2">{title}</Header>}>
      <BarChart
        hideFilter
        height={180}
        ariaLabel={title}
        statusType={data ? "finished" : "loading"}
        loadingText={TEXT.loading}
        xScaleType="categorical"
        i18nStrings={{ yTickFormatter: seconds }}
        series={series.map(([what, values]) => ({
          type: "bar" as const,
          title: what,
          data: values?.size ? begins.map((begin) => ({ x: name(begin), y: of(values, begin) })) : [],
          valueFormatter: seconds,
        }))}
        empty={empty}
      />
    </Container>
  );
  return (
    <SpaceBetween size="l">
      <Container>
        <KeyValuePairs
          columns={4}
          items={[
            { label: TEXT.dashboard.count, value: data ? count(sum(data.builds)) : "–" },
            {
              label: TEXT.dashboard.rate,
              value: success === undefined ? "–" : `${Math.round(success * 100)} %`,
            },
            { label: TEXT.dashboard.averageDuration, value: took === undefined ? "–" : seconds(took) },
            { label: TEXT.dashboard.averageQueue, value: waited === undefined ? "–" : seconds(waited) },
          ]}
        />
      </Container>
      <Container
        header={
          <Header variant="h2" description={isByHour ? TEXT.dashboard.hour(length / 3600) : TEXT.dashboard.day}>
            {TEXT.dashboard.builds}
          </Header>
        }
      >
        <BarChart
          hideFilter
          stackedBars
          height={180}
          ariaLabel={TEXT.dashboard.builds}
          statusType={data ? "finished" : "loading"}
          loadingText={TEXT.loading}
          xScaleType="categorical"
          i18nStrings={{ yTickFormatter: (y) => (Number.isInteger(y) ? count(y) : "") }}
          series={[
            bars(TEXT.dashboard.succeeded, (begin) => of(data?.succeeded, begin), "var(--status-good)"),
            bars(TEXT.dashboard.failed, (begin) => of(data?.failed, begin), "var(--status-bad)"),
            bars(
              TEXT.dashboard.other,
              (begin) => Math.max(0, of(data?.builds, begin) - of(data?.succeeded, begin) - of(data?.failed, begin)),
              "var(--status-stopped)",
            ),
          ]}
          empty={empty}
        />
      </Container>
      <ColumnLayout columns={2}>
        {times(
          TEXT.dashboard.durations,
          [TEXT.dashboard.average, data?.duration],
          [TEXT.dashboard.slowest, data?.slow],
        )}
        {times(TEXT.dashboard.queue, [TEXT.dashboard.average, data?.queued])}
      </ColumnLayout>
    </SpaceBetween>
  );
}

/** The builds themselves, the newest first. */
function History({ filter }: { filter: Filter }) {
  const { api } = useSigned();
  const [most, setMost] = useState(SHOWN);
  const now = useNow(true);
  const read = useReading(
    `history ${JSON.stringify(filter)} ${most}`,
    async (abortSignal) => {
      const since = Date.now() - filter.days * 24 * 3600 * 1000;
      const found: Build[] = [];
      let looked = 0;
      let nextToken: string | undefined;
      do {
        const input = { sortOrder: "DESCENDING", nextToken } as const;
        const page =
          filter.project === undefined
            ? await api.codebuild.send(new ListBuildsCommand(input), { abortSignal })
            : await api.codebuild.send(new ListBuildsForProjectCommand({ ...input, projectName: filter.project }), {
                abortSignal,
              });
        const ids = page.ids ?? [];
        if (ids.length === 0) return { found, looked, hasMore: false };
        const builds = (await api.codebuild.send(new BatchGetBuildsCommand({ ids }), { abortSignal })).builds ?? [];
        const place = new Map(ids.map((id, at) => [id, at]));
        builds.sort((a, b) => (place.get(a.id ?? "") ?? 0) - (place.get(b.id ?? "") ?? 0));
        looked += builds.length;
        const young = builds.filter((build) => (build.startTime?.getTime() ?? Date.now()) >= since);
        found.push(...young.filter((build) => filter.status === undefined || build.buildStatus === filter.status));
        // They are in the order of their begin.
        if (young.length < builds.length) return { found: found.slice(0, most), looked, hasMore: found.length > most };
        nextToken = page.nextToken;
      } while (nextToken !== undefined && found.length <= most && looked < (most / SHOWN) * LOOKED);
      return { found: found.slice(0, most), looked, hasMore: found.length > most || nextToken !== undefined };
    },
    () => LOOK,
  );
  if (read.error && !read.data) return <Problem error={read.error} />;
  return (
    <Table<Build>
      trackBy="id"
      items={read.data?.found ?? []}
      loading={!read.data}
      loadingText={TEXT.loading}
      enableKeyboardNavigation
      header={<Header variant="h2">{TEXT.dashboard.history}</Header>}
      empty={<Box textAlign="center">{TEXT.dashboard.historyNone}</Box>}
      footer={
        read.data?.hasMore && (
          <Box textAlign="center">
            <Button onClick={() => setMost(most + SHOWN)}>{TEXT.project.more}</Button>{" "}
            <Box variant="small" display="block">
              {TEXT.dashboard.looked(read.data.looked)}
            </Box>
          </Box>
        )
      }
      columnDefinitions={[
        {
          id: "build",
          header: TEXT.project.number,
          isRowHeader: true,
          minWidth: 140,
          cell: ({ id, buildNumber, projectName }) => (
            <Link href={paths.build(id ?? "")}>{TEXT.build.title(projectName ?? "", buildNumber)}</Link>
          ),
        },
        ...buildColumns(now),
        { id: "by", header: TEXT.project.by, minWidth: 120, cell: ({ initiator }) => initiator ?? "–" },
      ]}
    />
  );
}
