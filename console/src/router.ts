// Which page the address names.

import { useSyncExternalStore } from "react";

export type Route =
  | { page: "projects" }
  | { page: "project"; name: string }
  | { page: "build"; id: string; lines?: Lines }
  | { page: "queue" }
  | { page: "nothing" };

/** Lines of a log, from 1. */
export interface Lines {
  first: number;
  last: number;
}

export const paths = {
  projects: "/-/projects",
  queue: "/-/queue",
  project: (name: string) => `/-/projects/${encodeURIComponent(name)}`,
  build: (id: string, lines?: Lines) => `/-/builds/${id.split(":").map(encodeURIComponent).join(":")}${query(lines)}`,
};

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
  const [kind, name, more] = parts;
  if (kind === undefined) return { page: "projects" };
  if (more === undefined) {
    if (kind === "projects") return name === undefined ? { page: "projects" } : { page: "project", name };
    if (kind === "builds" && name !== undefined) return { page: "build", id: name, lines: linesOf(search) };
    if (kind === "queue" && name === undefined) return { page: "queue" };
  }
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
