import { afterEach, describe, expect, it, vi } from "vitest";
import { CallError } from "../api/client";
import type { LogPage } from "../api/kiln";
import { KEPT, LONGEST_KEPT, LogStore, PART, type ReadLines } from "./store";

const line = (number: number, text = `line ${number}`) => ({ number, time: number / 1000, byte: number * 10, text });

/** A log of so many lines, of a build that is over or not. */
function log(lines: { total: number; over: boolean; most?: number }) {
  const asked: Parameters<ReadLines>[0][] = [];
  const read: ReadLines = async (input) => {
    asked.push(input);
    const from = input.tail !== undefined ? Math.max(1, lines.total - input.tail + 1) : (input.fromLine ?? 1);
    const most = Math.min(input.maxLines ?? 1000, lines.most ?? 10_000);
    const page: LogPage = { lines: [], nextLine: from, complete: false };
    for (let n = from; n <= lines.total && page.lines.length < most; n++) page.lines.push(line(n));
    page.nextLine = from + page.lines.length;
    page.complete = lines.over && page.nextLine > lines.total;
    return page;
  };
  return { read, asked };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe("the lines of a log", () => {
  vi.useFakeTimers();
  afterEach(() => vi.clearAllTimers());

  it("are read from the end on, and others when they are wanted", async () => {
    const { read, asked } = log({ total: 100_000, over: true });
    const store = new LogStore(read);
    await store.open();
    expect([store.total, store.complete]).toEqual([100_000, true]);
    expect(asked).toEqual([{ tail: PART }]);
    expect(store.line(100_000)?.text).toBe("line 100000");
    expect(store.line(1)).toBeUndefined();
    store.want([1, 20]);
    await settle();
    expect(store.line(20)?.text).toBe("line 20");
    expect(asked.length).toBe(2);
    store.want([1, 20]);
    await settle();
    expect(asked.length, "they are there").toBe(2);
  });

  it("are as many as memory has room for, however many somebody looks at", async () => {
    const { read } = log({ total: 1_000_000, over: true });
    const store = new LogStore(read);
    await store.open();
    for (let part = 0; part < KEPT * 2; part++) {
      store.want([part * PART + 1, part * PART + 10]);
      await settle();
    }
    const has = (part: number) => store.line(part * PART + 1) !== undefined;
    const kept = Array.from({ length: KEPT * 2 }, (_, part) => part).filter(has);
    expect(kept.length).toBeLessThanOrEqual(KEPT);
    expect(kept.at(-1)).toBe(KEPT * 2 - 1);
  });

  it("come as they are printed, until the build is over", async () => {
    const state = { total: 3, over: false };
    const { read, asked } = log(state);
    const store = new LogStore(read);
    const seen = vi.fn();
    store.subscribe(seen);
    const open = store.open();
    await settle();
    expect([store.total, store.complete]).toEqual([3, false]);
    state.total = 5;
    await vi.advanceTimersByTimeAsync(2000);
    expect(store.line(5)?.text).toBe("line 5");
    expect(asked.at(-1)).toMatchObject({ fromLine: 6, waitSeconds: 10 });
    expect(seen).toHaveBeenCalled();
    state.over = true;
    await vi.advanceTimersByTimeAsync(2000);
    await open;
    expect(store.complete).toBe(true);
  });

  it("are read on where an answer holds fewer of them", async () => {
    const { read } = log({ total: 1000, over: true, most: 7 });
    const store = new LogStore(read);
    const open = store.open();
    await vi.advanceTimersByTimeAsync(60_000);
    await open;
    store.want([1, PART]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(store.line(PART)?.text).toBe(`line ${PART}`);
  });

  it("are cut where they are long beyond measure", async () => {
    const read: ReadLines = async () => ({
      lines: [line(1, "x".repeat(LONGEST_KEPT + 5))],
      nextLine: 2,
      complete: true,
    });
    const store = new LogStore(read);
    await store.open();
    expect([store.line(1)?.text.length, store.line(1)?.left]).toEqual([LONGEST_KEPT, 5]);
  });

  it("are asked for again after a failure, but not where they are denied", async () => {
    let error: Error = new CallError("Unreachable", "gone");
    const read = vi.fn<ReadLines>(async () => {
      throw error;
    });
    const store = new LogStore(read);
    const open = store.open();
    await vi.advanceTimersByTimeAsync(5000);
    expect(read.mock.calls.length).toBeGreaterThan(1);
    expect(store.error?.message).toBe("gone");
    error = new CallError("AccessDeniedException", "not yours");
    await vi.advanceTimersByTimeAsync(5000);
    await open;
    expect(store.error?.isDenied).toBe(true);
    const calls = read.mock.calls.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(read.mock.calls.length).toBe(calls);
    // Nor of a build that is not there.
    error = new CallError("ResourceNotFoundException", "no such build");
    await new LogStore(read).open();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(read.mock.calls.length).toBe(calls + 1);
  });

  it("are left alone once nobody looks", async () => {
    const { read, asked } = log({ total: 3, over: false });
    const store = new LogStore(read);
    const open = store.open();
    await settle();
    store.close();
    await open;
    const calls = asked.length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked.length).toBe(calls);
  });
});
