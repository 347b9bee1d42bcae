// Where a log is read from, and what its lines are called by.

import type { Api } from "../api/client";
import type { Counted, Found, LogPage } from "../api/kiln";
import { type Lines, paths } from "../router";
import type { ReadLines } from "./store";

export interface LogSource {
  /** For the name of a file. */
  name: string;
  read: ReadLines;
  /** Absent where nobody may search. */
  search?: (input: object, signal?: AbortSignal) => Promise<Found>;
  count?: (input: object, signal?: AbortSignal) => Promise<Counted>;
  /** The address of lines of it. */
  link: (lines?: Lines) => string;
}

/** The log of a build, for who is signed in. */
export function logOf(api: Api, id: string): LogSource {
  return {
    name: id.replace(":", "-"),
    read: (input, signal) => api.kiln<LogPage>("GetBuildLog", { id, ...input }, signal),
    search: (input, signal) => api.kiln<Found>("SearchBuildLog", { id, ...input }, signal),
    count: (input, signal) => api.kiln<Counted>("CountBuildLog", { id, ...input }, signal),
    link: (lines) => paths.build(id, lines),
  };
}
