// The metrics that CodeBuild leaves in CloudWatch, as the dashboard shows them.

import type { Api } from "./api/client";
import type { Filter } from "./router";

const HOUR = 3600;
const DAY = 24 * HOUR;

/** Seconds that a point stands for, so that a chart has some 30. */
export function period(days: number): number {
  if (days <= 1) return HOUR;
  if (days <= 7) return 6 * HOUR;
  return DAY;
}

/** Begins of the periods of the last days, seconds since the epoch; CloudWatch's are multiples of their length. */
export function periods(days: number, now: number): number[] {
  const length = period(days);
  const last = Math.floor(now / 1000 / length) * length;
  const most = Math.ceil((days * DAY) / length);
  return Array.from({ length: most }, (_, at) => last - (most - 1 - at) * length);
}

/** What is asked for, each by a name of ours: a metric, and what of its values. */
const ASKED = {
  builds: ["Builds", "Sum"],
  succeeded: ["SucceededBuilds", "Sum"],
  failed: ["FailedBuilds", "Sum"],
  duration: ["Duration", "Average"],
  slow: ["Duration", "p95"],
  durations: ["Duration", "Sum"],
  durationCount: ["Duration", "SampleCount"],
  queued: ["QueuedDuration", "Average"],
  queuedSum: ["QueuedDuration", "Sum"],
  queuedCount: ["QueuedDuration", "SampleCount"],
} as const;

type Asked = keyof typeof ASKED;

/** Values by the begin of their period. */
export type Series = ReadonlyMap<number, number>;
export type Metrics = Record<Asked, Series>;

interface MetricData {
  MetricDataResults?: { Id: string; Timestamps?: number[]; Values?: number[] }[];
  NextToken?: string;
}

export async function metrics(api: Api, filter: Filter, now: number, signal: AbortSignal): Promise<Metrics> {
  const begins = periods(filter.days, now);
  const length = period(filter.days);
  const dimensions = filter.project === undefined ? [] : [{ Name: "ProjectName", Value: filter.project }];
  const input = {
    StartTime: begins[0],
    EndTime: (begins.at(-1) ?? 0) + length,
    ScanBy: "TimestampAscending",
    MetricDataQueries: Object.entries(ASKED).map(([name, [metric, stat]]) => ({
      Id: name,
      MetricStat: {
        Metric: { Namespace: "AWS/CodeBuild", MetricName: metric, Dimensions: dimensions },
        Period: length,
        Stat: stat,
      },
    })),
  };
  const found = new Map<string, Map<number, number>>();
  let NextToken: string | undefined;
  do {
    const page: MetricData = await api.json<MetricData>("monitoring", "GetMetricData", { ...input, NextToken }, signal);
    for (const { Id, Timestamps = [], Values = [] } of page.MetricDataResults ?? []) {
      const series = found.get(Id) ?? new Map<number, number>();
      for (const [at, time] of Timestamps.entries()) series.set(time, Values[at] ?? 0);
      found.set(Id, series);
    }
    NextToken = page.NextToken;
  } while (NextToken);
  const all: Partial<Record<Asked, Series>> = {};
  for (const name of Object.keys(ASKED) as Asked[]) all[name] = found.get(name) ?? new Map();
  return all as Metrics;
}

export function sum(series: Series): number {
  let all = 0;
  for (const value of series.values()) all += value;
  return all;
}

/** The share of builds that succeeded, of those that succeeded or failed. */
export function rate({ succeeded, failed }: Pick<Metrics, "succeeded" | "failed">): number | undefined {
  const [good, bad] = [sum(succeeded), sum(failed)];
  return good + bad > 0 ? good / (good + bad) : undefined;
}

/** The mean of all values, of which each period has the sum and the number. */
export function mean(sums: Series, counts: Series): number | undefined {
  const all = sum(counts);
  return all > 0 ? sum(sums) / all : undefined;
}
