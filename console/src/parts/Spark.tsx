import type { Build } from "@aws-sdk/client-codebuild";
import { TEXT } from "../text";
import "./spark.css";

const WIDTH = 7;
const HEIGHT = 22;

/** The last builds as bars, the newest on the right: how long each took, and how it ended. */
export function Spark({ builds }: { builds: Build[] }) {
  const over = builds
    .filter((build) => build.buildComplete)
    .slice(0, 15)
    .reverse();
  if (over.length === 0) return <>–</>;
  const good = over.filter((build) => build.buildStatus === "SUCCEEDED").length;
  const times = over.map((build) => (build.endTime?.getTime() ?? 0) - (build.startTime?.getTime() ?? 0));
  const longest = Math.max(1, ...times);
  return (
    <span className="spark">
      <svg width={over.length * WIDTH} height={HEIGHT} role="img" aria-label={TEXT.project.rateOf(good, over.length)}>
        {over.map((build, at) => {
          const height = Math.max(4, Math.round(((times[at] ?? 0) / longest) * HEIGHT));
          const name = build.buildStatus === "SUCCEEDED" ? "good" : build.buildStatus === "STOPPED" ? "stopped" : "bad";
          return (
            <rect
              key={build.id}
              className={`spark-${name}`}
              x={at * WIDTH}
              y={HEIGHT - height}
              width={WIDTH - 2}
              height={height}
              rx={1}
            />
          );
        })}
      </svg>
      <span>{Math.round((good / over.length) * 100)} %</span>
    </span>
  );
}
