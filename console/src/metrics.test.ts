import { describe, expect, it, vi } from "vitest";
import type { Api } from "./api/client";
import { mean, metrics, period, periods, rate, sum } from "./metrics";
import { filterOf, paths, route } from "./router";

const NOW = Date.UTC(2026, 10, 27, 3, 30);

describe("metrics", () => {
  it("have periods that end now", () => {
    for (const days of [1, 7, 30, 90]) {
      const begins = periods(days, NOW);
      const length = period(days);
      expect(begins.length).toBe((days * 86_400) / length);
      expect(begins.every((begin) => begin % length === 0)).toBe(true);
      expect(begins.at(-1)).toBeLessThanOrEqual(NOW / 1000);
      expect((begins.at(-1) ?? 0) + length).toBeGreaterThan(NOW / 1000);
    }
  });

  it("come in pages, and are of all or of a project", async () => {
    const pages = [
      { MetricDataResults: [{ Id: "builds", Timestamps: [0], Values: [2] }], NextToken: "more" },
      {
        MetricDataResults: [
          { Id: "builds", Timestamps: [3600], Values: [3] },
          { Id: "failed", Timestamps: [0], Values: [1] },
        ],
      },
    ];
    const json = vi.fn(async (_: string, __: string, input: { NextToken?: string }) => pages[input.NextToken ? 1 : 0]);
    const api = { json } as unknown as Api;
    const found = await metrics(api, { days: 1, project: "shop" }, NOW, new AbortController().signal);
    expect([sum(found.builds), sum(found.failed), sum(found.slow)]).toEqual([5, 1, 0]);
    const asked = JSON.stringify(json.mock.calls[0]);
    expect(json.mock.calls[0]?.slice(0, 2)).toEqual(["monitoring", "GetMetricData"]);
    expect(asked).toContain('"Dimensions":[{"Name":"ProjectName","Value":"shop"}]');
    await metrics(api, { days: 1 }, NOW, new AbortController().signal);
    expect(JSON.stringify(json.mock.calls[2])).toContain('"Dimensions":[]');
  });

  it("say nothing where there is nothing to say", () => {
    const none = new Map<number, number>();
    expect(rate({ succeeded: none, failed: none })).toBeUndefined();
    expect(mean(none, none)).toBeUndefined();
    expect(rate({ succeeded: new Map([[0, 3]]), failed: new Map([[9, 1]]) })).toBe(0.75);
    expect(
      mean(
        new Map([
          [0, 10],
          [1, 20],
        ]),
        new Map([
          [0, 1],
          [1, 4],
        ]),
      ),
    ).toBe(6);
  });
});

describe("the address of the dashboard", () => {
  it("names the filter, and nothing else", () => {
    for (const filter of [{ days: 7 }, { days: 30, project: "a&b", status: "TIMED_OUT" }, { days: 1, project: "x" }]) {
      const [path = "", search] = paths.dashboard(filter).split("?");
      expect(route(path, search ?? "")).toEqual({ page: "dashboard", filter });
    }
    expect(paths.dashboard({ days: 7 })).toBe("/-/dashboard");
    for (const search of ["days=8&status=a b", "days=x&project=", "status=%3Cb%3E"]) {
      expect(filterOf(search), search).toEqual({ days: 7 });
    }
  });
});
