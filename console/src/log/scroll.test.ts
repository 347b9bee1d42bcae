import { describe, expect, it } from "vitest";
import { bar, height, highest, isScaled, position, TALLEST } from "./scroll";

const small = { rows: 1000, row: 20, view: 400 };
const large = { rows: 10_000_000, row: 20, view: 400 };

describe("scrolling", () => {
  it("is exact in a log that fits", () => {
    expect(isScaled(small)).toBe(false);
    expect(height(small)).toBe(20_000);
    for (const at of [0, 0.5, 17.25, 980]) expect(position(bar(at, small), 0, 0, small)).toBe(at);
    expect(position(1e9, 0, 0, small)).toBe(highest(small));
  });

  it("reaches every line of ten million", () => {
    expect(height(large)).toBe(TALLEST);
    const room = TALLEST - large.view;
    expect(position(room, room - 20, 12, large)).toBe(highest(large));
    expect(position(0, 20, 12, large)).toBe(0);
    // A turn of the wheel moves by what it says, not by thousands of lines.
    expect(position(100_100, 100_000, 5_000_000, large)).toBe(5_000_005);
    // A pull of the bar goes where it points.
    expect(position(room / 2, 0, 0, large)).toBeCloseTo(highest(large) / 2, 0);
    for (const at of [0, 1, 123_456, highest(large)]) {
      expect(Math.abs(position(bar(at, large), -1e9, 0, large) - at)).toBeLessThan(0.01);
    }
  });

  it("does not scroll what fits", () => {
    const few = { rows: 3, row: 20, view: 400 };
    expect(height(few)).toBe(400);
    expect(highest(few)).toBe(0);
  });
});
