// Scrolling through more rows than browsers can stack: an element ends at about 33 million pixels. Up to a height that all
// browsers bear, the position of the scroll bar is the position in the log; beyond it the bar stands for a proportion, and
// small movements (a wheel, keys) are taken as what they are.

/** Height that every browser bears. */
export const TALLEST = 8_000_000;

export interface Sizes {
  rows: number;
  /** Height of a row, and of what is seen; pixels. */
  row: number;
  view: number;
}

/** Height of what is scrolled; pixels. */
export function height({ rows, row, view }: Sizes): number {
  return Math.max(view, Math.min(rows * row, TALLEST));
}

export function isScaled({ rows, row }: Sizes): boolean {
  return rows * row > TALLEST;
}

/** The highest position: the row, and a part of it, that is at the top when the last one is at the bottom. */
export function highest({ rows, row, view }: Sizes): number {
  return Math.max(0, rows - view / row);
}

/** The position, in rows, that a position of the scroll bar means, when it was `before` and the bar moved from `barBefore`. */
export function position(bar: number, barBefore: number, before: number, sizes: Sizes): number {
  const most = highest(sizes);
  if (!isScaled(sizes)) return Math.min(bar / sizes.row, most);
  const room = height(sizes) - sizes.view;
  const moved = bar - barBefore;
  if (bar <= 0) return 0;
  if (bar >= room) return most;
  if (Math.abs(moved) <= sizes.view * 2) return Math.min(Math.max(0, before + moved / sizes.row), most);
  return (bar / room) * most;
}

/** Where the scroll bar stands for a position. */
export function bar(at: number, sizes: Sizes): number {
  if (!isScaled(sizes)) return at * sizes.row;
  const most = highest(sizes);
  return most === 0 ? 0 : (Math.min(at, most) / most) * (height(sizes) - sizes.view);
}
