// A project while it is edited: the members of CreateProject as JSON, and nothing where the form has nothing.

import type { CreateProjectCommandInput, Project, UpdateProjectCommandInput } from "@aws-sdk/client-codebuild";

export type Value = string | number | boolean | Value[] | Draft;
export interface Draft {
  [member: string]: Value | undefined;
}

/** Members that CreateProject and UpdateProject take, in the order of AWS's documentation. */
export const MEMBERS = [
  "name",
  "description",
  "source",
  "secondarySources",
  "sourceVersion",
  "secondarySourceVersions",
  "artifacts",
  "secondaryArtifacts",
  "cache",
  "environment",
  "serviceRole",
  "timeoutInMinutes",
  "queuedTimeoutInMinutes",
  "encryptionKey",
  "tags",
  "vpcConfig",
  "badgeEnabled",
  "logsConfig",
  "fileSystemLocations",
  "buildBatchConfig",
  "concurrentBuildLimit",
  "autoRetryLimit",
] as const;

/** A buildspec to begin with. */
export const BEGINNING = `version: 0.2
phases:
  build:
    commands:
      - echo Hello from Kiln
`;

/** What UpdateProject is told for a member that is to be as if it was never set; one that is absent stays as it was. */
const CLEARED: Partial<Record<(typeof MEMBERS)[number], Value>> = {
  description: "",
  secondarySources: [],
  sourceVersion: "",
  secondarySourceVersions: [],
  secondaryArtifacts: [],
  cache: { type: "NO_CACHE" },
  timeoutInMinutes: 60,
  queuedTimeoutInMinutes: 480,
  tags: [],
  vpcConfig: {},
  badgeEnabled: false,
  logsConfig: {},
  fileSystemLocations: [],
  buildBatchConfig: {},
  concurrentBuildLimit: -1,
  autoRetryLimit: 0,
};

export function isDraft(value: unknown): value is Draft {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at `source.location`. */
export function get(draft: Draft, path: string): Value | undefined {
  let at: Value | undefined = draft;
  for (const name of path.split(".")) at = isDraft(at) ? at[name] : undefined;
  return at;
}

export function text(draft: Draft, path: string): string {
  const value = get(draft, path);
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function isNothing(value: Value | undefined): boolean {
  if (value === undefined || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return isDraft(value) && Object.keys(value).length === 0;
}

/** The draft with another value there. A member that has nothing goes, and a structure that has no member. */
export function put(draft: Draft, path: string, value: Value | undefined): Draft {
  const [name = "", ...rest] = path.split(".");
  const inner = rest.length === 0 ? value : put(isDraft(draft[name]) ? draft[name] : {}, rest.join("."), value);
  const next = { ...draft };
  if (isNothing(inner)) delete next[name];
  else next[name] = inner;
  return next;
}

/** Items of lists may be empty while somebody fills them in; what is sent has none of those. */
export function tidy(value: Value): Value | undefined {
  if (Array.isArray(value)) {
    const items = value.map(tidy).filter((item) => item !== undefined);
    return items.length > 0 ? items : undefined;
  }
  if (!isDraft(value)) return value === "" ? undefined : value;
  const kept: Draft = {};
  for (const [name, inner] of Object.entries(value)) {
    // A variable's value may be empty, and is a value all the same.
    const tidied = name === "value" && inner === "" ? "" : inner === undefined ? undefined : tidy(inner);
    if (tidied !== undefined) kept[name] = tidied;
  }
  return Object.keys(kept).length > 0 ? kept : undefined;
}

/** A project as it is, to edit. */
export function ofProject(project: Project): Draft {
  const draft: Draft = {};
  const plain = JSON.parse(JSON.stringify(project)) as Draft;
  for (const member of MEMBERS) {
    const value = plain[member];
    if (value !== undefined && !isNothing(value)) draft[member] = value;
  }
  if (project.badge?.badgeEnabled) draft.badgeEnabled = true;
  const server = draft.environment;
  // What state its server is in is not for callers to set.
  if (isDraft(server) && isDraft(server.dockerServer)) delete server.dockerServer.status;
  return draft;
}

export function toCreate(draft: Draft): CreateProjectCommandInput {
  return (tidy(draft) ?? {}) as unknown as CreateProjectCommandInput;
}

/** What makes a project that is as `before` says one that is as `draft` says. */
export function toUpdate(draft: Draft, before: Draft): UpdateProjectCommandInput {
  const input = { ...(tidy(draft) as Draft | undefined) };
  for (const member of MEMBERS) {
    if (input[member] === undefined && before[member] !== undefined) input[member] = CLEARED[member];
  }
  return input as unknown as UpdateProjectCommandInput;
}
