import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import type { BuildDetail, CommandDetail } from "../../api/kiln";
import { bytes, duration } from "../../format";
import { isFailed } from "../../log/LogViewer";
import { Status, words } from "../../parts/status";
import { TEXT } from "../../text";

export interface DetailsProps {
  detail?: Pick<BuildDetail, "phases" | "commands">;
  now: number;
  onLine: (line: number) => void;
}

/** Phases and commands, with what each took. */
export function Details({ detail, now, onLine }: DetailsProps) {
  const commands = detail?.commands ?? [];
  const longest = Math.max(0, ...commands.map((command) => command.durationInMilliseconds ?? 0));
  const tookOf = (command: CommandDetail) => {
    const took = command.durationInMilliseconds ?? (command.startTime ? now - command.startTime * 1000 : 0);
    const isLongest = took === longest && commands.length > 1 && longest > 0;
    return isLongest ? <Box variant="strong">{duration(took)}</Box> : duration(took);
  };
  return (
    <SpaceBetween size="l">
      <Table
        trackBy="phaseType"
        items={detail?.phases ?? []}
        header={<Header variant="h2">{TEXT.build.phases}</Header>}
        columnDefinitions={[
          { id: "phase", header: TEXT.build.phase, isRowHeader: true, cell: (phase) => words(phase.phaseType ?? "") },
          {
            id: "status",
            header: TEXT.project.status,
            cell: (phase) =>
              phase.phaseType === "COMPLETED" ? "–" : <Status status={phase.phaseStatus ?? "IN_PROGRESS"} />,
          },
          {
            id: "took",
            header: TEXT.build.took,
            cell: (phase) =>
              phase.durationInMilliseconds === undefined ? "–" : duration(phase.durationInMilliseconds),
          },
          {
            id: "why",
            header: TEXT.build.why,
            minWidth: 200,
            cell: (phase) => <span className="break">{phase.context?.message ?? ""}</span>,
          },
        ]}
      />
      <Table<CommandDetail>
        trackBy="number"
        wrapLines
        items={commands}
        header={<Header variant="h2">{TEXT.build.commands}</Header>}
        empty={<Box textAlign="center">{TEXT.build.noCommands}</Box>}
        columnDefinitions={[
          {
            id: "command",
            header: TEXT.build.command,
            isRowHeader: true,
            minWidth: 260,
            cell: (command) => (
              <div>
                <pre className="code">{command.text}</pre>
                <Box variant="small" display="block">
                  {[
                    words(command.phaseType ?? ""),
                    command.finally ? TEXT.build.finally : undefined,
                    command.attempt > 1 ? TEXT.build.attempt(command.attempt) : undefined,
                    command.buildspecLine === undefined ? undefined : TEXT.build.line(command.buildspecLine),
                  ]
                    .filter((part) => part !== undefined)
                    .join(" · ")}
                </Box>
              </div>
            ),
          },
          {
            id: "status",
            header: TEXT.project.status,
            minWidth: 120,
            cell: (command) => {
              if (command.durationInMilliseconds === undefined) {
                return <StatusIndicator type="in-progress">{TEXT.build.running}</StatusIndicator>;
              }
              const text = command.signal ?? TEXT.build.exit(command.exitCode ?? 0);
              return (
                <StatusIndicator type={isFailed(command) ? "error" : "success"}>
                  {text}
                  {command.memoryLimitReached ? `, ${TEXT.build.outOfMemory}` : ""}
                </StatusIndicator>
              );
            },
          },
          { id: "took", header: TEXT.build.took, minWidth: 90, cell: tookOf },
          {
            id: "cpu",
            header: TEXT.build.cpu,
            minWidth: 100,
            cell: ({ cpuMilliseconds }) => (cpuMilliseconds === undefined ? "–" : duration(cpuMilliseconds)),
          },
          {
            id: "memory",
            header: TEXT.build.memory,
            minWidth: 100,
            cell: ({ memoryPeakBytes }) => (memoryPeakBytes === undefined ? "–" : bytes(memoryPeakBytes)),
          },
          {
            id: "log",
            header: TEXT.build.log,
            minWidth: 110,
            cell: ({ firstLine }) =>
              firstLine === undefined ? (
                "–"
              ) : (
                <Link
                  onFollow={(event) => {
                    event.preventDefault();
                    onLine(firstLine);
                  }}
                  href="#"
                >
                  {TEXT.build.toLog}
                </Link>
              ),
          },
        ]}
      />
    </SpaceBetween>
  );
}
