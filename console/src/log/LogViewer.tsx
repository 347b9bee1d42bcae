import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Input from "@cloudscape-design/components/input";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { CommandDetail } from "../api/kiln";
import { duration, lineTime } from "../format";
import { save } from "../parts/save";
import { type Lines, navigate } from "../router";
import { TEXT } from "../text";
import { plain } from "./ansi";
import "./log.css";
import { LineText } from "./Row";
import { type Fold, folds, Rows } from "./rows";
import { bar, height, highest, position, type Sizes } from "./scroll";
import type { LogSource } from "./source";
import { LogStore } from "./store";
import { useSearch, type Wanted } from "./useSearch";

/** Height of a line; the style sheet has it too. */
const ROW = 20;
/** Lines that are asked for before they are seen. */
const AHEAD = 60;
/** Lines that are read at a time when all are. */
const DOWNLOAD_PAGE = 10_000;

export interface LogViewerProps {
  source: LogSource;
  store: LogStore;
  commands: readonly CommandDetail[];
  isOver: boolean;
  hasFailed: boolean;
  lines?: Lines;
}

/** Whether a command went wrong. */
export function isFailed(command: CommandDetail): boolean {
  return command.signal !== undefined || (command.exitCode !== undefined && command.exitCode !== 0);
}

/** The log of a build, read from now on, whether it is shown already or not. */
export function useLog(source: LogSource): LogStore {
  const store = useMemo(() => new LogStore(source.read), [source]);
  useEffect(() => {
    void store.open();
    return () => store.close();
  }, [store]);
  return store;
}

export function LogViewer(props: LogViewerProps) {
  const { source, store, commands, isOver, hasFailed, lines: linked } = props;
  useSyncExternalStore(store.subscribe, store.snapshot);
  const view = useRef<HTMLElement>(null);
  const [viewHeight, setViewHeight] = useState(400);
  const [at, setAt] = useState(0);
  const [following, setFollowing] = useState(!isOver && linked === undefined);
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  const [times, setTimes] = useState(false);
  const [wanted, setWanted] = useState<Wanted>({ text: "", matchCase: false, isPattern: false });
  const search = useSearch(source, wanted);
  const [note, setNote] = useState<string>();

  const all = useMemo(() => folds(commands), [commands]);
  const heads = useMemo(() => new Map(all.map((fold) => [fold.head, fold])), [all]);
  const rows = useMemo(
    () =>
      new Rows(
        store.total,
        all.filter((fold) => closed.has(fold.head)),
      ),
    [store.total, all, closed],
  );
  const sizes: Sizes = { rows: rows.count, row: ROW, view: viewHeight };
  // What scroll events are compared with, whichever rendering they belong to.
  const now = useRef({ at, bar: 0, sizes, following });
  now.current.sizes = sizes;

  const goTo = useCallback((place: number) => {
    const { sizes } = now.current;
    const to = Math.min(Math.max(0, place), highest(sizes));
    now.current.at = to;
    now.current.bar = bar(to, sizes);
    setAt(to);
    if (view.current) view.current.scrollTop = now.current.bar;
  }, []);

  const follow = useCallback((on: boolean) => {
    now.current.following = on;
    setFollowing(on);
  }, []);

  /** Brings a line to the middle, out of what is folded. */
  const showLine = useCallback(
    (line: number) => {
      follow(false);
      const fold = all.find((one) => closed.has(one.head) && one.first <= line && line <= one.last);
      let shown = rows;
      if (fold) {
        const open = new Set(closed);
        open.delete(fold.head);
        setClosed(open);
        shown = new Rows(
          store.total,
          all.filter((one) => open.has(one.head)),
        );
        now.current.sizes = { ...now.current.sizes, rows: shown.count };
      }
      goTo(shown.row(line) - now.current.sizes.view / ROW / 3);
    },
    [all, closed, rows, store, follow, goTo],
  );

  // The height that is left for lines.
  useLayoutEffect(() => {
    const element = view.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setViewHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  // The end is followed, and the scroll bar told of what has changed.
  useLayoutEffect(() => {
    const { sizes } = now.current;
    if (sizes.rows !== rows.count || sizes.view !== viewHeight) return;
    goTo(now.current.following ? highest(sizes) : now.current.at);
  }, [rows, viewHeight, goTo]);

  // Where it is opened: at the linked line, at what failed, at the end of what runs, or at the beginning.
  const opened = useRef<string | undefined>(undefined);
  const link = linked ? `${linked.first}-${linked.last}` : "";
  const failed = useMemo(() => commands.find(isFailed), [commands]);
  useEffect(() => {
    if (!store.opened || viewHeight === 0) return;
    if (link !== "" && opened.current !== link) {
      // The line may not be there yet.
      if (linked && linked.first <= store.total) {
        opened.current = link;
        showLine(linked.first);
      }
    } else if (opened.current === undefined) {
      opened.current = "";
      const line = failed?.lastLine ?? failed?.firstLine;
      if (isOver && hasFailed && line !== undefined) showLine(line);
    }
  });

  const onScroll = () => {
    const element = view.current;
    if (!element) return;
    const before = now.current;
    if (Math.abs(element.scrollTop - before.bar) < 1) return;
    const to = position(element.scrollTop, before.bar, before.at, before.sizes);
    if (to < before.at && before.following) follow(false);
    else if (!store.complete && to >= highest(before.sizes) - 0.5) follow(true);
    before.at = to;
    before.bar = element.scrollTop;
    setAt(to);
  };

  // The lines that are seen.
  const firstRow = Math.max(0, Math.floor(at));
  const lastRow = Math.min(rows.count - 1, Math.ceil(at + viewHeight / ROW));
  const shown: number[] = [];
  for (let row = firstRow; row <= lastRow; row++) shown.push(rows.line(row));
  const firstLine = rows.count > 0 ? rows.line(Math.max(0, firstRow - AHEAD)) : 0;
  const lastLine = rows.count > 0 ? rows.line(Math.min(rows.count - 1, lastRow + AHEAD)) : 0;
  useEffect(() => {
    if (firstLine === 0) return;
    // What is folded away in between is not asked for.
    if (lastLine - firstLine < 2000) store.want([firstLine, lastLine]);
    else store.want(...shown.map((line) => [line, line] as const));
  });

  const find = async (backward: boolean) => {
    const from = search.current ?? (rows.count > 0 ? rows.line(Math.min(firstRow, rows.count - 1)) : 1);
    const step = search.current === undefined ? 0 : backward ? -1 : 1;
    const line = await search.find(Math.max(1, from + step), backward);
    if (line !== undefined) showLine(line);
  };

  const firstError = async () => {
    setNote(undefined);
    const line = failed?.lastLine ?? failed?.firstLine;
    if (line !== undefined) return showLine(line);
    const input = { pattern: "\\b(error|fatal|panic|failed)\\b", ignoreCase: true, maxMatches: 1 };
    const found = await source.search?.(input).catch(() => undefined);
    const first = found?.matches[0]?.number;
    if (first === undefined) setNote(TEXT.log.noError);
    else showLine(first);
  };

  const select = (line: number, extend: boolean) => {
    const begin = extend && linked ? linked.first : line;
    const lines = { first: Math.min(begin, line), last: Math.max(begin, line) };
    opened.current = `${lines.first}-${lines.last}`;
    follow(false);
    navigate(source.link(lines), "replace");
  };

  const copy = async (text: string) => {
    setNote(
      (await navigator.clipboard?.writeText(text).then(
        () => TEXT.copied,
        () => TEXT.copyFailed,
      )) ?? TEXT.copyFailed,
    );
  };

  const copyLines = async () => {
    if (!linked) return;
    const texts: string[] = [];
    for (let from = linked.first; from <= linked.last && texts.length < 100_000; ) {
      const input = { fromLine: from, maxLines: Math.min(DOWNLOAD_PAGE, linked.last - from + 1) };
      const page = await source.read(input).catch(() => undefined);
      if (!page || page.lines.length === 0) break;
      for (const line of page.lines) texts.push(plain(line.text));
      from = page.nextLine;
    }
    await copy(texts.join("\n"));
  };

  const download = async () => {
    const parts: Blob[] = [];
    let from = 1;
    try {
      for (;;) {
        const page = await source.read({ fromLine: from, maxLines: DOWNLOAD_PAGE });
        // Each piece on its own: browsers keep large ones on the disk.
        if (page.lines.length > 0) parts.push(new Blob([page.lines.map((line) => `${line.text}\n`).join("")]));
        from = page.nextLine;
        if (page.complete || page.lines.length === 0) break;
        setNote(TEXT.log.downloading(from - 1));
      }
      setNote(undefined);
      save(new Blob(parts, { type: "text/plain" }), `${source.name}.log`);
    } catch (thrown) {
      setNote(thrown instanceof Error ? thrown.message : String(thrown));
    }
  };

  const toggle = (fold: Fold) => {
    const next = new Set(closed);
    if (!next.delete(fold.head)) next.add(fold.head);
    setClosed(next);
  };

  const offset = at - firstRow;
  const isEmpty = store.opened && store.total === 0;
  const status = () => {
    if (search.error) return <StatusIndicator type="error">{search.error}</StatusIndicator>;
    if (search.isBusy) return <StatusIndicator type="loading">{TEXT.log.searching}</StatusIndicator>;
    if (search.isNone) return TEXT.log.none;
    if (search.lines !== undefined) return TEXT.log.found(search.lines, search.isCounted || !isOver);
    return null;
  };

  return (
    <div className="log">
      <div className="log-bar">
        {source.search && (
          <>
            <search className="log-search">
              <Input
                type="search"
                value={wanted.text}
                placeholder={TEXT.log.search}
                ariaLabel={TEXT.log.search}
                onChange={({ detail }) => setWanted({ ...wanted, text: detail.value })}
                onKeyDown={({ detail }) => {
                  if (detail.key === "Enter") void find(detail.shiftKey);
                }}
              />
            </search>
            <Button
              iconName="angle-up"
              variant="icon"
              ariaLabel={TEXT.log.previous}
              disabled={wanted.text === ""}
              onClick={() => void find(true)}
            />
            <Button
              iconName="angle-down"
              variant="icon"
              ariaLabel={TEXT.log.next}
              disabled={wanted.text === ""}
              onClick={() => void find(false)}
            />
            <output className="log-found-count">{status()}</output>
          </>
        )}
        <span className="log-space" />
        {!store.complete && (
          <Button
            iconName={following ? "pause" : "play"}
            onClick={() => {
              follow(!following);
              if (!following) goTo(highest(now.current.sizes));
            }}
          >
            {following ? TEXT.log.pause : TEXT.log.follow}
          </Button>
        )}
        {(source.search || failed) && <Button onClick={() => void firstError()}>{TEXT.log.error}</Button>}
        <ButtonDropdown
          items={[
            { id: "top", text: TEXT.log.top },
            { id: "end", text: TEXT.log.end },
            { id: "times", text: TEXT.log.times, itemType: "checkbox", checked: times },
            ...(source.search
              ? ([
                  { id: "case", text: TEXT.log.matchCase, itemType: "checkbox", checked: wanted.matchCase },
                  { id: "pattern", text: TEXT.log.pattern, itemType: "checkbox", checked: wanted.isPattern },
                ] as const)
              : []),
            { id: "fold", text: TEXT.log.foldAll, disabled: all.length === 0 },
            { id: "unfold", text: TEXT.log.unfoldAll, disabled: closed.size === 0 },
            { id: "download", text: TEXT.log.download },
          ]}
          onItemClick={({ detail }) => {
            if (detail.id === "top") {
              follow(false);
              goTo(0);
            } else if (detail.id === "end") goTo(highest(now.current.sizes));
            else if (detail.id === "times") setTimes(!times);
            else if (detail.id === "case") setWanted({ ...wanted, matchCase: !wanted.matchCase });
            else if (detail.id === "pattern") setWanted({ ...wanted, isPattern: !wanted.isPattern });
            else if (detail.id === "fold") setClosed(new Set(all.map((fold) => fold.head)));
            else if (detail.id === "unfold") setClosed(new Set());
            else void download();
          }}
        >
          {TEXT.log.options}
        </ButtonDropdown>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section className="log-view" ref={view} onScroll={onScroll} tabIndex={0} aria-label={TEXT.log.label}>
        <div style={{ height: height(sizes) }}>
          <div className="log-layer" style={{ height: viewHeight }}>
            {isEmpty ? (
              <div className="log-empty">
                {store.error ? store.error.message : store.complete ? TEXT.log.emptyAtEnd : TEXT.log.empty}
              </div>
            ) : (
              <div className="log-rows" style={{ transform: `translateY(${-offset * ROW}px)` }}>
                {shown.map((number) => {
                  const line = store.line(number);
                  const fold = heads.get(number);
                  const isClosed = fold !== undefined && closed.has(fold.head);
                  const isSelected = linked && linked.first <= number && number <= linked.last;
                  const names = ["log-row"];
                  if (fold) names.push("log-head");
                  if (isSelected) names.push("log-selected");
                  if (number === search.current) names.push("log-found");
                  return (
                    <div key={number} className={names.join(" ")} data-line={number}>
                      <span className="log-gutter">
                        {fold ? (
                          <button
                            type="button"
                            className="log-fold"
                            aria-expanded={!isClosed}
                            aria-label={isClosed ? TEXT.log.unfold : TEXT.log.fold}
                            onClick={() => toggle(fold)}
                          >
                            {isClosed ? "▸" : "▾"}
                          </button>
                        ) : (
                          <span className="log-fold" />
                        )}
                        <a
                          className="log-number"
                          href={source.link({ first: number, last: number })}
                          tabIndex={-1}
                          aria-label={TEXT.log.lineLink(number)}
                          onClick={(event) => {
                            if (event.metaKey || event.ctrlKey) return;
                            event.preventDefault();
                            select(number, event.shiftKey);
                          }}
                        >
                          {number}
                        </a>
                      </span>
                      {times && <span className="log-time">{line ? lineTime(line.time) : ""}</span>}
                      <span className="log-text">
                        {line ? (
                          <LineText
                            line={line}
                            search={wanted.isPattern ? "" : wanted.text}
                            matchCase={wanted.matchCase}
                          />
                        ) : (
                          TEXT.log.loading
                        )}
                      </span>
                      {fold && <Note fold={fold} isClosed={isClosed} />}
                    </div>
                  );
                })}
              </div>
            )}
          </div>
        </div>
      </section>
      <div className="log-foot">
        <span>{TEXT.log.lines(store.total)}</span>
        {!store.complete && store.opened && !store.error && (
          <StatusIndicator type="in-progress">{following ? TEXT.log.following : TEXT.build.running}</StatusIndicator>
        )}
        {store.error && !isEmpty && <StatusIndicator type="warning">{store.error.message}</StatusIndicator>}
        <output>{note}</output>
        <span className="log-space" />
        {linked && (
          <>
            <span>{TEXT.log.linked(linked.first, linked.last)}</span>
            <Button variant="inline-link" onClick={() => void copy(location.origin + source.link(linked))}>
              {TEXT.log.copyLink}
            </Button>
            <Button variant="inline-link" onClick={() => void copyLines()}>
              {TEXT.log.copyLines}
            </Button>
            <Button variant="inline-link" onClick={() => navigate(source.link(), "replace")}>
              {TEXT.log.unselect}
            </Button>
          </>
        )}
      </div>
    </div>
  );
}

/** How a command went, at the end of the line that names it. */
function Note({ fold, isClosed }: { fold: Fold; isClosed: boolean }) {
  const { command } = fold;
  const took = command.durationInMilliseconds;
  const parts: string[] = [];
  if (isClosed) parts.push(TEXT.log.folded(fold.last - fold.first + 1));
  if (command.signal) parts.push(command.signal);
  else if (command.exitCode !== undefined) parts.push(TEXT.build.exit(command.exitCode));
  if (took !== undefined) parts.push(duration(took));
  const name = isFailed(command) ? "log-note-bad" : took !== undefined ? "log-note-good" : "";
  return <span className={`log-note ${name}`}>{parts.join(" · ")}</span>;
}
