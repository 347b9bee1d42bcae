import { duration } from "../format";
import "./timeline.css";
import { words } from "./status";

export interface Span {
  name: string;
  status?: string;
  milliseconds: number;
}

/** The phases of a build side by side, wide as they were long; short ones have room for their name. */
export function Timeline({ phases }: { phases: Span[] }) {
  const shown = phases.filter((phase) => phase.name !== "COMPLETED");
  const longest = Math.max(1, ...shown.map((phase) => phase.milliseconds));
  return (
    <ol className="timeline">
      {shown.map((phase) => {
        const isBad = phase.status !== undefined && phase.status !== "SUCCEEDED";
        const name = phase.status === undefined ? "running" : isBad ? "bad" : "good";
        const slow = phase.milliseconds === longest && shown.length > 1 ? " timeline-slow" : "";
        return (
          <li
            key={phase.name}
            className={`timeline-span timeline-${name}${slow}`}
            style={{ flexGrow: Math.max(0.02, phase.milliseconds / longest) }}
          >
            <span className="timeline-bar" />
            <span className="timeline-name">{words(phase.name)}</span>
            <span className="timeline-time">
              {duration(phase.milliseconds)}
              {isBad ? ` · ${words(phase.status ?? "")}` : ""}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
