import { useCallback, useEffect, useRef, useState } from "react";
import { callError } from "../api/client";
import type { Found } from "../api/kiln";
import type { LogSource } from "./source";

export interface Wanted {
  text: string;
  matchCase: boolean;
  isPattern: boolean;
}

export interface Search {
  /** Lines that match, as far as they were counted. */
  lines?: number;
  isCounted: boolean;
  /** The line that was found last. */
  current?: number;
  isBusy: boolean;
  error?: string;
  isNone: boolean;
  /** Finds the next match after a line, or before it. Answers the line. */
  find: (from: number, backward: boolean) => Promise<number | undefined>;
}

/** How long somebody stops typing before it is counted. */
const PAUSE = 300;

/** Searches the whole log, on the server. */
export function useSearch(source: LogSource, wanted: Wanted): Search {
  const [counted, setCounted] = useState<{ lines: number; isWhole: boolean }>();
  const [state, setState] = useState<{ current?: number; isBusy: boolean; error?: string; isNone: boolean }>({
    isBusy: false,
    isNone: false,
  });
  const finding = useRef<AbortController | undefined>(undefined);
  const { text, matchCase, isPattern } = wanted;

  useEffect(() => {
    finding.current?.abort();
    setCounted(undefined);
    setState({ isBusy: false, isNone: false });
    const { count } = source;
    if (text === "" || !count) return;
    const abort = new AbortController();
    const countAll = async () => {
      try {
        let [lines, from] = [0, 1];
        for (;;) {
          const input = { ...query({ text, matchCase, isPattern }), fromLine: from };
          const page = await count(input, abort.signal);
          lines += page.matchedLines;
          setCounted({ lines, isWhole: page.complete });
          // Of a running build the count ends at what there is.
          if (page.complete || page.nextLine <= from) return;
          from = page.nextLine;
          if (page.totalLines === 0) return;
        }
      } catch (thrown) {
        const error = callError(thrown);
        if (error && !abort.signal.aborted) setState({ isBusy: false, isNone: false, error: error.message });
      }
    };
    const timer = setTimeout(() => void countAll(), PAUSE);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [source, text, matchCase, isPattern]);

  const find = useCallback(
    async (start: number, backward: boolean): Promise<number | undefined> => {
      const { search } = source;
      if (text === "" || !search) return undefined;
      finding.current?.abort();
      const abort = new AbortController();
      finding.current = abort;
      setState((before) => ({ ...before, isBusy: true, error: undefined, isNone: false }));
      try {
        let from: number | undefined = start;
        let isAround = false;
        for (;;) {
          const input = { ...query({ text, matchCase, isPattern }), fromLine: from, backward, maxMatches: 1 };
          const page: Found = await search(input, abort.signal);
          const found = page.matches[0]?.number;
          if (found !== undefined) {
            setState({ current: found, isBusy: false, isNone: false });
            return found;
          }
          const isEnd = page.complete || page.nextLine === from || page.nextLine < 1;
          if (!isEnd) {
            from = page.nextLine;
          } else if (isAround) {
            setState({ isBusy: false, isNone: true });
            return undefined;
          } else {
            // Once around: from the other end.
            isAround = true;
            from = backward ? undefined : 1;
          }
        }
      } catch (thrown) {
        const error = callError(thrown);
        if (error && !abort.signal.aborted) setState({ isBusy: false, isNone: false, error: error.message });
        return undefined;
      }
    },
    [source, text, matchCase, isPattern],
  );

  return { lines: counted?.lines, isCounted: counted?.isWhole ?? false, find, ...state };
}

function query({ text, matchCase, isPattern }: Wanted): object {
  return { ...(isPattern ? { pattern: text } : { text }), ignoreCase: !matchCase };
}
