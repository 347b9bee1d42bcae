import Box from "@cloudscape-design/components/box";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import ProgressBar from "@cloudscape-design/components/progress-bar";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import type { Queue, QueuedBuild, RunningBuild } from "../api/kiln";
import { ago, bytes, count } from "../format";
import { useNow, useReading, useSigned } from "../hooks";
import { Problem } from "../parts/Problem";
import { paths } from "../router";
import { TEXT } from "../text";

export function QueuePage() {
  const { api } = useSigned();
  const now = useNow(true);
  const queue = useReading(
    "queue",
    (signal) => api.kiln<Queue>("DescribeQueue", {}, signal),
    () => 1500,
  );
  if (queue.error && !queue.data) return <Problem error={queue.error} />;
  const capacity = queue.data?.capacity;
  const share = (part = 0, whole = 0) => (whole > 0 ? Math.min(100, (part / whole) * 100) : 0);
  const build = ({ id, projectName }: { id: string; projectName: string }) => (
    <Link href={paths.build(id)}>
      {projectName} {id.split(":").pop()?.slice(0, 8)}
    </Link>
  );
  return (
    <SpaceBetween size="l">
      <Header variant="h1">{TEXT.queue}</Header>
      {queue.error && <Problem error={queue.error} />}
      {capacity && (
        <Container>
          <ColumnLayout columns={2}>
            <ProgressBar
              label={TEXT.queuePage.running}
              value={share(capacity.runningBuilds, capacity.maxBuilds)}
              additionalInfo={TEXT.queuePage.builds(capacity.runningBuilds, capacity.maxBuilds)}
            />
            <ProgressBar
              label={TEXT.queuePage.memory}
              value={share(capacity.reservedMemoryBytes, capacity.memoryBytes)}
              additionalInfo={TEXT.queuePage.of(bytes(capacity.reservedMemoryBytes), bytes(capacity.memoryBytes))}
            />
          </ColumnLayout>
        </Container>
      )}
      <Table<RunningBuild>
        trackBy="id"
        items={queue.data?.running ?? []}
        loading={!queue.data}
        loadingText={TEXT.loading}
        header={<Header variant="h2">{TEXT.queuePage.running}</Header>}
        empty={<Box textAlign="center">{TEXT.queuePage.noneRunning}</Box>}
        columnDefinitions={[
          { id: "build", header: TEXT.queuePage.build, isRowHeader: true, cell: build },
          { id: "compute", header: TEXT.queuePage.compute, cell: ({ computeType }) => computeType },
          { id: "memory", header: TEXT.queuePage.memory, cell: ({ memoryBytes }) => bytes(memoryBytes) },
          {
            id: "since",
            header: TEXT.queuePage.since,
            cell: ({ startTime }) => ago(new Date(startTime * 1000), now),
          },
        ]}
      />
      <Table<QueuedBuild>
        trackBy="id"
        items={queue.data?.queued ?? []}
        loading={!queue.data}
        loadingText={TEXT.loading}
        header={
          <Header variant="h2" counter={capacity && `(${count(capacity.queuedBuilds)})`}>
            {TEXT.queuePage.waiting}
          </Header>
        }
        empty={<Box textAlign="center">{TEXT.queuePage.noneWaiting}</Box>}
        columnDefinitions={[
          { id: "place", header: TEXT.queuePage.place, cell: ({ queue: place }) => count(place.position) },
          { id: "build", header: TEXT.queuePage.build, isRowHeader: true, cell: build },
          { id: "reason", header: TEXT.queuePage.reason, cell: ({ queue: place }) => place.reason },
          {
            id: "since",
            header: TEXT.queuePage.since,
            cell: ({ submittedTime }) => ago(new Date(submittedTime * 1000), now),
          },
        ]}
      />
    </SpaceBetween>
  );
}
