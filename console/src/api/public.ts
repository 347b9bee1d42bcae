// Public builds: what anybody may see, without a signature.

import type { LogSource } from "../log/source";
import { type Lines, paths } from "../router";
import { refusal } from "./client";
import type { LogPage, PublicBuildDetail, PublicBuilds } from "./kiln";

/** Lines of an answer at most. */
const MOST_LINES = 1000;

async function ask(operation: string, input: object, signal?: AbortSignal): Promise<Response> {
  const answer = await fetch(`/-/public-builds/${operation}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(input),
    signal,
    cache: "no-store",
    credentials: "omit",
  });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** Builds of a public project, the newest first. */
export async function listPublic(alias: string, nextToken?: string, signal?: AbortSignal): Promise<PublicBuilds> {
  return (await ask("ListPublicBuilds", { alias, nextToken }, signal)).json() as Promise<PublicBuilds>;
}

/** One of them. */
export async function getPublic(alias: string, uuid: string, signal?: AbortSignal): Promise<PublicBuildDetail> {
  return (await ask("GetPublicBuild", { alias, uuid }, signal)).json() as Promise<PublicBuildDetail>;
}

/** An artifact of it. */
export async function getPublicArtifact(alias: string, uuid: string, artifactIdentifier?: string): Promise<Blob> {
  return (await ask("GetPublicBuildArtifact", { alias, uuid, artifactIdentifier })).blob();
}

/** Its log. Nobody waits for lines there, and nobody searches: each of these holds something of the service. */
export function publicLog(alias: string, uuid: string): LogSource {
  return {
    name: uuid,
    read: async ({ fromLine, tail, maxLines }, signal) => {
      const most = maxLines === undefined ? undefined : Math.min(maxLines, MOST_LINES);
      const input = { alias, uuid, fromLine, tail, maxLines: most };
      return (await ask("GetPublicBuildLog", input, signal)).json() as Promise<LogPage>;
    },
    link: (lines?: Lines) => paths.public(alias, uuid, lines),
  };
}
