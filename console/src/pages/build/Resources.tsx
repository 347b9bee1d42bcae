import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import LineChart from "@cloudscape-design/components/line-chart";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { BuildDetail, ResourceSample } from "../../api/kiln";
import { bytes, duration } from "../../format";
import { TEXT } from "../../text";

const GIB = 1024 ** 3;

/** Processors and memory of the compute types (AWS's figures for Linux). */
const SIZES: Record<string, { cpus: number; memory: number }> = {
  BUILD_GENERAL1_SMALL: { cpus: 2, memory: 4 * GIB },
  BUILD_GENERAL1_MEDIUM: { cpus: 4, memory: 8 * GIB },
  BUILD_GENERAL1_LARGE: { cpus: 8, memory: 16 * GIB },
  BUILD_GENERAL1_XLARGE: { cpus: 36, memory: 72 * GIB },
  BUILD_GENERAL1_2XLARGE: { cpus: 72, memory: 144 * GIB },
};

interface Point {
  x: number;
  y: number;
}

/** Processors in use between each two samples. */
export function processors(samples: readonly ResourceSample[]): Point[] {
  const points: Point[] = [];
  const began = samples[0]?.time ?? 0;
  samples.forEach((sample, at) => {
    const before = samples[at - 1];
    if (!before || sample.time <= before.time) return;
    const used = (sample.cpuMilliseconds - before.cpuMilliseconds) / 1000 / (sample.time - before.time);
    points.push({ x: sample.time - began, y: Math.max(0, used) });
  });
  return points;
}

/** What the build used over time. */
export default function Resources({ detail, computeType }: { detail?: BuildDetail; computeType?: string }) {
  const samples = detail?.samples ?? [];
  const size = SIZES[computeType ?? ""];
  const began = samples[0]?.time ?? 0;
  const memory = samples.map((sample) => ({ x: sample.time - began, y: sample.memoryBytes }));
  const cpu = processors(samples);
  const end = Math.max(1, memory.at(-1)?.x ?? 1);
  const sums = detail?.resources;
  const chart = (
    title: string,
    points: Point[],
    limit: number | undefined,
    show: (y: number) => string,
    hint?: string,
  ) => (
    <Container
      header={
        <Header variant="h2" description={hint}>
          {title}
        </Header>
      }
    >
      <LineChart
        hideFilter
        height={180}
        ariaLabel={title}
        xScaleType="linear"
        xDomain={[0, end]}
        yDomain={[0, Math.max(limit ?? 0, ...points.map((point) => point.y)) || 1]}
        xTitle={TEXT.resources.time}
        i18nStrings={{ yTickFormatter: show, xTickFormatter: (x) => `${Math.round(x * 10) / 10}` }}
        series={
          points.length === 0
            ? []
            : [
                { type: "line" as const, title, data: points, valueFormatter: show },
                ...(limit === undefined
                  ? []
                  : [{ type: "threshold" as const, title: TEXT.resources.limit, y: limit, valueFormatter: show }]),
              ]
        }
        empty={<Box textAlign="center">{TEXT.resources.none}</Box>}
      />
    </Container>
  );
  return (
    <SpaceBetween size="l">
      {sums && (
        <Container>
          <KeyValuePairs
            columns={4}
            items={[
              { label: TEXT.resources.total, value: duration(sums.cpuMilliseconds) },
              { label: TEXT.resources.peak, value: bytes(sums.memoryPeakBytes) },
              { label: TEXT.resources.read, value: bytes(sums.readBytes) },
              { label: TEXT.resources.written, value: bytes(sums.writtenBytes) },
            ]}
          />
        </Container>
      )}
      {chart(
        TEXT.resources.cpu,
        cpu,
        size?.cpus,
        (y) => (Math.round(y * 100) / 100).toString(),
        size && TEXT.resources.cpuHint(size.cpus),
      )}
      {chart(TEXT.resources.memory, memory, size?.memory, bytes, size && TEXT.resources.memoryHint(bytes(size.memory)))}
    </SpaceBetween>
  );
}
