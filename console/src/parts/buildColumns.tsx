import type { Build } from "@aws-sdk/client-codebuild";
import type { TableProps } from "@cloudscape-design/components/table";
import { ago, duration } from "../format";
import { TEXT } from "../text";
import { Status } from "./status";

/** What every list of builds says of how each went. */
export function buildColumns(now: number): TableProps.ColumnDefinition<Build>[] {
  return [
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
      cell: ({ startTime, endTime }) => (startTime ? duration((endTime?.getTime() ?? now) - startTime.getTime()) : "–"),
    },
    {
      id: "started",
      header: TEXT.project.started,
      minWidth: 110,
      cell: ({ startTime }) => (startTime ? ago(startTime, now) : "–"),
    },
  ];
}
