// The lines of a log, as much of them as somebody looks at. Parts are read when they are wanted and given up when others
// were wanted more recently, so that memory is bounded whatever the log's length is.

import type { CallError } from "../api/client";
import { callError } from "../api/client";
import type { LogLine, LogPage } from "../api/kiln";

/** Reads lines of one build. */
export type ReadLines = (
  input: { fromLine?: number; tail?: number; maxLines?: number; toLine?: number; waitSeconds?: number },
  signal?: AbortSignal,
) => Promise<LogPage>;

/** Lines that are read and given up together. */
export const PART = 250;
/** Parts that are kept. */
export const KEPT = 64;
/** Of a line as much is kept; of a longer one the number of characters is. */
export const LONGEST_KEPT = 32_000;
/** Parts that are read at the same time. */
const AT_ONCE = 3;
/** Lines that are asked for at a time while the build runs. */
const NEWEST = 2000;
/** Seconds that the service waits for a line before it says that there is none. */
const WAIT = 10;
/** Between two looks at a running build's log: when something came, and when nothing does although it was waited for, as
 * of a build that has not begun. */
const SOON = 20;
const LATER = 1000;

export interface KeptLine {
  number: number;
  time: number;
  text: string;
  /** Characters that are not kept. */
  left: number;
}

function kept({ number, time, text }: LogLine): KeptLine {
  const left = Math.max(0, text.length - LONGEST_KEPT);
  return { number, time, text: left > 0 ? text.slice(0, LONGEST_KEPT) : text, left };
}

export class LogStore {
  /** Lines that there are so far. */
  total = 0;
  /** Whether the build is over, and no line will come. */
  complete = false;
  /** Whether `total` is known at all. */
  opened = false;
  error?: CallError;
  private readonly parts = new Map<number, Map<number, KeptLine>>();
  private readonly reading = new Set<number>();
  private wanted: number[] = [];
  private readonly listeners = new Set<() => void>();
  private readonly abort = new AbortController();
  private version = 0;

  constructor(private readonly read: ReadLines) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Changes whenever something that is shown may have. */
  readonly snapshot = (): number => this.version;

  private changed() {
    this.version++;
    for (const listener of this.listeners) listener();
  }

  /** Finds out where the log ends, and goes on reading until the build is over. */
  async open(): Promise<void> {
    const { signal } = this.abort;
    let pause = SOON;
    while (!signal.aborted && !this.complete) {
      try {
        const page = this.opened
          ? await this.read({ fromLine: this.total + 1, maxLines: NEWEST, waitSeconds: WAIT }, signal)
          : await this.read({ tail: PART }, signal);
        if (signal.aborted) return;
        this.opened = true;
        this.error = undefined;
        this.add(page.lines);
        const total = Math.max(this.total, page.nextLine - 1);
        const isNews = total > this.total || page.complete;
        this.total = total;
        this.complete = page.complete;
        if (isNews || this.version === 0) this.changed();
        if (page.complete) return;
        // More may be there already.
        if (page.lines.length >= NEWEST) continue;
        pause = page.lines.length > 0 ? SOON : Math.min(LATER, pause * 2);
      } catch (thrown) {
        const error = callError(thrown);
        if (!error || signal.aborted) return;
        this.error = error;
        this.opened ||= error.isDenied;
        this.changed();
        if (error.isLasting) return;
        pause = LATER * 2;
      }
      await wait(pause, signal);
    }
  }

  /** Ends reading. */
  close() {
    this.abort.abort();
  }

  line(number: number): KeptLine | undefined {
    return this.parts.get(Math.floor((number - 1) / PART))?.get(number);
  }

  /** Says which lines somebody looks at, first and last of each range; they are read. */
  want(...ranges: (readonly [number, number])[]) {
    const wanted = new Set<number>();
    for (const [first, last] of ranges) {
      for (let part = Math.floor((first - 1) / PART); part <= Math.floor((last - 1) / PART); part++) {
        const known = this.parts.get(part);
        if (known) {
          // The ones that were wanted last are at the end.
          this.parts.delete(part);
          this.parts.set(part, known);
        }
        if (part >= 0 && !this.isWhole(part)) wanted.add(part);
      }
    }
    this.wanted = [...wanted];
    this.readWanted();
  }

  private isWhole(part: number): boolean {
    const end = Math.min((part + 1) * PART, this.total);
    return (this.parts.get(part)?.size ?? 0) >= end - part * PART;
  }

  private readWanted() {
    while (this.reading.size < AT_ONCE) {
      const part = this.wanted.find((one) => !this.reading.has(one));
      if (part === undefined) return;
      this.wanted = this.wanted.filter((one) => one !== part);
      void this.readPart(part);
    }
  }

  private async readPart(part: number) {
    const { signal } = this.abort;
    this.reading.add(part);
    try {
      let from = part * PART + 1;
      const end = Math.min((part + 1) * PART, this.total);
      // Of very long lines an answer holds fewer.
      while (from <= end && !signal.aborted) {
        const page = await this.read({ fromLine: from, maxLines: end - from + 1 }, signal);
        if (page.lines.length === 0) break;
        this.add(page.lines);
        from = page.nextLine;
      }
      this.error = undefined;
    } catch (thrown) {
      this.error = callError(thrown);
      this.changed();
      // Whoever still looks there asks again.
      await wait(LATER * 2, signal);
    }
    this.reading.delete(part);
    if (signal.aborted) return;
    this.changed();
    this.readWanted();
  }

  private add(lines: LogLine[]) {
    for (const line of lines) {
      const part = Math.floor((line.number - 1) / PART);
      let known = this.parts.get(part);
      if (!known) {
        known = new Map();
        this.parts.set(part, known);
      }
      known.set(line.number, kept(line));
    }
    for (const part of this.parts.keys()) {
      if (this.parts.size <= KEPT) break;
      this.parts.delete(part);
    }
  }
}

function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // A build is followed for hours: nothing of a wait that is over stays with the signal.
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}
