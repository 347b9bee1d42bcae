// Which lines of a log are rows on the screen, when the output of some commands is folded away.

import type { CommandDetail } from "../api/kiln";

/** The output of a command, below the line that names it. */
export interface Fold {
  command: CommandDetail;
  /** The line that says it: "Running command …". A command of several lines goes on below it. */
  head: number;
  /** First and last line that go. */
  first: number;
  last: number;
}

/** What can be folded, in the order of the log. Outputs of commands do not overlap. */
export function folds(commands: readonly CommandDetail[]): Fold[] {
  const found: Fold[] = [];
  let before = 0;
  for (const command of commands) {
    const { firstLine: first, lastLine: last } = command;
    if (first === undefined || last === undefined || first < 2 || last < first || first - 1 <= before) continue;
    const head = Math.max(before + 1, first - command.text.split("\n").length);
    found.push({ command, head, first, last });
    before = last;
  }
  return found;
}

/** Lines as rows: each line one, but those that are folded away. Rows are counted from 0, lines from 1. */
export class Rows {
  private readonly hidden: { first: number; last: number; before: number }[] = [];
  readonly count: number;

  constructor(
    readonly lines: number,
    closed: readonly Fold[],
  ) {
    let gone = 0;
    for (const { first, last: end } of closed) {
      const last = Math.min(end, lines);
      if (first > last) continue;
      this.hidden.push({ first, last, before: gone });
      gone += last - first + 1;
    }
    this.count = Math.max(0, lines - gone);
  }

  /** The line of a row. */
  line(row: number): number {
    // The last hidden part that begins at or above this row.
    let [low, high] = [0, this.hidden.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const part = this.hidden[middle];
      if (part && part.first - 1 - part.before <= row) low = middle + 1;
      else high = middle;
    }
    const part = this.hidden[low - 1];
    return row + 1 + (part ? part.before + (part.last - part.first + 1) : 0);
  }

  /** The row of a line; of one that is folded away, that of the line above, the last that names its command. */
  row(line: number): number {
    let [low, high] = [0, this.hidden.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const part = this.hidden[middle];
      if (part && part.first <= line) low = middle + 1;
      else high = middle;
    }
    const part = this.hidden[low - 1];
    if (!part) return line - 1;
    if (line <= part.last) return part.first - 2 - part.before;
    return line - 1 - part.before - (part.last - part.first + 1);
  }
}
