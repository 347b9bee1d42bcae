// What pages share: the API, and reading from it again and again while somebody looks.

import { createContext, useCallback, useContext, useEffect, useRef, useState } from "react";
import { type Api, type CallError, callError } from "./api/client";

export interface Signed {
  api: Api;
  signOut: (why?: string) => void;
}

export const SignedContext = createContext<Signed | undefined>(undefined);

export function useSigned(): Signed {
  const signed = useContext(SignedContext);
  if (!signed) throw new Error("nobody is signed in");
  return signed;
}

export interface Reading<T> {
  data?: T;
  error?: CallError;
  /** Reads now. */
  reload: () => void;
}

/**
 * Reads at once, and then `every` so many milliseconds while the page is seen; `every` is asked with what was read, and
 * `undefined` ends it. What was read stays when a later reading fails. `key` says what is read: another key starts afresh.
 */
export function useReading<T>(
  key: string,
  read: (signal: AbortSignal) => Promise<T>,
  every: (data: T | undefined) => number | undefined = () => undefined,
): Reading<T> {
  // Nobody is signed in where public builds are looked at.
  const signOut = useContext(SignedContext)?.signOut;
  const [state, setState] = useState<{ key: string; data?: T; error?: CallError }>({ key });
  const [turn, setTurn] = useState(0);
  const latest = useRef({ read, every, signOut });
  latest.current = { read, every, signOut };

  // biome-ignore lint/correctness/useExhaustiveDependencies: `turn` asks for another reading
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let known: T | undefined;
    const again = () => {
      const pause = latest.current.every(known);
      if (pause === undefined || abort.signal.aborted) return;
      timer = setTimeout(look, pause);
    };
    const look = async () => {
      if (document.hidden) {
        document.addEventListener("visibilitychange", look, { once: true, signal: abort.signal });
        return;
      }
      try {
        const data = await latest.current.read(abort.signal);
        if (abort.signal.aborted) return;
        known = data;
        setState({ key, data });
      } catch (thrown) {
        const error = callError(thrown);
        if (!error || abort.signal.aborted) return;
        if (error.isSignedOut) latest.current.signOut?.(error.message);
        setState((before) => (before.key === key ? { ...before, error } : { key, error }));
      }
      again();
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, turn]);

  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return state.key === key ? { data: state.data, error: state.error, reload } : { reload };
}

/** The time, every second while `ticks`. */
export function useNow(ticks: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!ticks) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [ticks]);
  return now;
}
