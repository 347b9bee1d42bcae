import { describe, expect, it } from "vitest";
import type { CommandDetail } from "../api/kiln";
import { folds, Rows } from "./rows";

function command(number: number, firstLine?: number, lastLine?: number, text = "make"): CommandDetail {
  return { number, finally: false, attempt: 1, text, memoryLimitReached: false, firstLine, lastLine };
}

describe("folding", () => {
  const all = folds([command(1, 3, 5), command(2), command(3, 7, 7), command(4, 9, 20)]);

  it("is of commands that printed something, below the line that names them", () => {
    expect(all.map(({ head, first, last }) => [head, first, last])).toEqual([
      [2, 3, 5],
      [6, 7, 7],
      [8, 9, 20],
    ]);
  });

  it("begins with the first line of a command of several", () => {
    expect(folds([command(1, 10, 12, "a\nb\nc\n")])[0]?.head).toBe(6);
    expect(folds([command(1, 3, 5), command(2, 7, 9, "a\nb\nc")])[1]?.head, "not in the output before").toBe(6);
  });

  it("leaves out what cannot be folded", () => {
    expect(folds([command(1, 1, 2)])).toEqual([]);
    expect(folds([command(1, 3, 5), command(2, 5, 9)]).length).toBe(1);
  });

  it("maps rows to lines and back, whatever is folded", () => {
    for (let chosen = 0; chosen < 8; chosen++) {
      const closed = all.filter((_, at) => chosen & (1 << at));
      const rows = new Rows(25, closed);
      const seen: number[] = [];
      for (let row = 0; row < rows.count; row++) {
        const line = rows.line(row);
        expect(rows.row(line)).toBe(row);
        seen.push(line);
      }
      const hidden = (line: number) => closed.some((fold) => fold.first <= line && line <= fold.last);
      expect(seen).toEqual(Array.from({ length: 25 }, (_, at) => at + 1).filter((line) => !hidden(line)));
    }
  });

  it("shows the line of its command for one that is folded away", () => {
    const rows = new Rows(25, all);
    expect(rows.line(rows.row(4))).toBe(2);
    expect(rows.line(rows.row(20))).toBe(8);
    expect(rows.line(rows.row(21))).toBe(21);
  });

  it("ends with the log while a command still prints", () => {
    expect(new Rows(10, all).count).toBe(10 - 3 - 1 - 2);
    expect(new Rows(0, all).count).toBe(0);
  });
});
