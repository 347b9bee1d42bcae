// Which page the address names.

import { useSyncExternalStore } from "react";

export type Route =
  | { page: "projects" }
  | { page: "project"; name: string }
  | { page: "create" }
  | { page: "edit"; name: string }
  | { page: "build"; id: string; lines?: Lines }
  | { page: "dashboard"; filter: Filter }
  | { page: "queue" }
  | { page: "credentials" }
  | { page: "images"; repository?: string }
  | { page: "caches" }
  | { page: "webhooks"; project?: string }
  | { page: "repositories"; repository?: string }
  | { page: "secrets" }
  | { page: "audit"; filter: AuditFilter }
  | { page: "access"; part: AccessPart; name?: string }
  | { page: "public"; alias: string; build?: string; lines?: Lines }
  | { page: "nothing" };

/** Lines of a log, from 1. */
export interface Lines {
  first: number;
  last: number;
}

/** Which builds the dashboard is about. */
export interface Filter {
  project?: string;
  /** Days until now; one of `DAYS`. */
  days: number;
  status?: string;
}

/** Which records of the audit log are shown. */
export interface AuditFilter {
  user?: string;
  operation?: string;
  service?: string;
  resource?: string;
  kind?: "changes" | "refused";
  /** Hours until now. */
  hours?: number;
}

const PARTS = ["users", "roles", "policies", "simulator"] as const;

export type AccessPart = (typeof PARTS)[number];

export const DAYS = [1, 7, 30, 90];

export const paths = {
  projects: "/-/projects",
  queue: "/-/queue",
  create: "/-/create-project",
  dashboard: (filter: Filter) => {
    const query = new URLSearchParams();
    if (filter.project !== undefined) query.set("project", filter.project);
    if (filter.days !== DAY_SHOWN) query.set("days", String(filter.days));
    if (filter.status !== undefined) query.set("status", filter.status);
    return query.size === 0 ? "/-/dashboard" : `/-/dashboard?${query}`;
  },
  credentials: "/-/credentials",
  caches: "/-/caches",
  secrets: "/-/secrets",
  images: (repository?: string) =>
    repository === undefined ? "/-/images" : `/-/images/${encodeURIComponent(repository)}`,
  webhooks: (project?: string) =>
    project === undefined ? "/-/webhooks" : `/-/webhooks/${encodeURIComponent(project)}`,
  repositories: (repository?: string) =>
    repository === undefined ? "/-/repositories" : `/-/repositories/${encodeURIComponent(repository)}`,
  access: (part: AccessPart, name?: string) =>
    name === undefined ? `/-/access/${part}` : `/-/access/${part}/${encodeURIComponent(name)}`,
  audit: (filter: AuditFilter) => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, String(value));
    return query.size === 0 ? "/-/audit" : `/-/audit?${query}`;
  },
  public: (alias: string, build?: string, lines?: Lines) =>
    build === undefined
      ? `/-/public/${encodeURIComponent(alias)}`
      : `/-/public/${encodeURIComponent(alias)}/builds/${encodeURIComponent(build)}${query(lines)}`,
  project: (name: string) => `/-/projects/${encodeURIComponent(name)}`,
  edit: (name: string) => `/-/projects/${encodeURIComponent(name)}/edit`,
  build: (id: string, lines?: Lines) => `/-/builds/${id.split(":").map(encodeURIComponent).join(":")}${query(lines)}`,
};

/** Days that are shown unless the address says otherwise. */
const DAY_SHOWN = 7;

/** What `?project=demo&days=30&status=FAILED` names. */
export function filterOf(search: string): Filter {
  const query = new URLSearchParams(search);
  const days = Number(query.get("days"));
  const filter: Filter = { days: DAYS.includes(days) ? days : DAY_SHOWN };
  const [project, status] = [query.get("project"), query.get("status")];
  if (project) filter.project = project;
  if (status && /^[A-Z_]{1,40}$/.test(status)) filter.status = status;
  return filter;
}

/** What `?user=alice&kind=refused&hours=24` names. */
export function auditFilterOf(search: string): AuditFilter {
  const query = new URLSearchParams(search);
  const filter: AuditFilter = {};
  for (const name of ["user", "operation", "service", "resource"] as const) {
    const value = query.get(name)?.slice(0, 2048);
    if (value) filter[name] = value;
  }
  const [kind, hours] = [query.get("kind"), Number(query.get("hours"))];
  if (kind === "changes" || kind === "refused") filter.kind = kind;
  if (hours > 0 && hours <= 24 * 366) filter.hours = hours;
  return filter;
}

function query(lines?: Lines): string {
  if (!lines) return "";
  return lines.first === lines.last ? `?line=${lines.first}` : `?line=${lines.first}-${lines.last}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What an address names. */
export function route(path: string, search: string): Route {
  const parts = path
    .replace(/^\/-\/?/, "")
    .split("/")
    .filter((part) => part !== "")
    .map(decoded);
  const [kind, name, more, ...rest] = parts;
  if (kind === undefined) return { page: "projects" };
  if (more === undefined) {
    if (kind === "projects") return name === undefined ? { page: "projects" } : { page: "project", name };
    if (kind === "builds" && name !== undefined) return { page: "build", id: name, lines: linesOf(search) };
    if (kind === "queue" && name === undefined) return { page: "queue" };
    if (kind === "dashboard" && name === undefined) return { page: "dashboard", filter: filterOf(search) };
    if (kind === "create-project" && name === undefined) return { page: "create" };
    if (kind === "credentials" && name === undefined) return { page: "credentials" };
    if (kind === "caches" && name === undefined) return { page: "caches" };
    if (kind === "secrets" && name === undefined) return { page: "secrets" };
    if (kind === "audit" && name === undefined) return { page: "audit", filter: auditFilterOf(search) };
    if (kind === "images") return name === undefined ? { page: "images" } : { page: "images", repository: name };
    if (kind === "webhooks") return name === undefined ? { page: "webhooks" } : { page: "webhooks", project: name };
    if (kind === "repositories") {
      return name === undefined ? { page: "repositories" } : { page: "repositories", repository: name };
    }
    if (kind === "public" && name !== undefined) return { page: "public", alias: name };
  }
  if (kind === "access") {
    const part = PARTS.find((one) => one === (name ?? "users"));
    if (part && rest.length === 0)
      return more === undefined ? { page: "access", part } : { page: "access", part, name: more };
  }
  if (kind === "public" && name !== undefined && more === "builds" && rest.length === 1) {
    return { page: "public", alias: name, build: rest[0], lines: linesOf(search) };
  }
  if (kind === "projects" && name !== undefined && more === "edit" && rest.length === 0) return { page: "edit", name };
  return { page: "nothing" };
}

/** The lines that `?line=10` or `?line=10-20` names. */
export function linesOf(search: string): Lines | undefined {
  const found = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(new URLSearchParams(search).get("line") ?? "");
  if (!found) return undefined;
  const first = Math.max(1, Number(found[1]));
  const last = Math.max(1, Number(found[2] ?? found[1]));
  return first <= last ? { first, last } : { first: last, last: first };
}

const listeners = new Set<() => void>();

function changed() {
  for (const listener of listeners) listener();
}

export function navigate(path: string, how: "push" | "replace" = "push") {
  if (how === "push") history.pushState(null, "", path);
  else history.replaceState(null, "", path);
  if (how === "push") window.scrollTo(0, 0);
  changed();
}

/** Follows links within the console without loading it anew. */
export function followLinks(event: MouseEvent) {
  if (
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  ) {
    return;
  }
  const target = event.target instanceof Element ? event.target.closest("a") : null;
  const href = target?.getAttribute("href");
  if (!target || !href?.startsWith("/-/") || target.target !== "" || target.hasAttribute("download")) return;
  event.preventDefault();
  navigate(href);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

export function useRoute(): Route {
  const address = useSyncExternalStore(subscribe, () => location.pathname + location.search);
  const [path, search] = address.split("?", 2);
  return route(path ?? "", search ?? "");
}
