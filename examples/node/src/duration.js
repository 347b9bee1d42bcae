'use strict';

/** Units, the largest first: name, milliseconds, other names that are understood. */
const UNITS = [
  ['d', 86_400_000, ['day', 'days']],
  ['h', 3_600_000, ['hour', 'hours', 'hr', 'hrs']],
  ['m', 60_000, ['minute', 'minutes', 'min', 'mins']],
  ['s', 1_000, ['second', 'seconds', 'sec', 'secs']],
  ['ms', 1, ['millisecond', 'milliseconds']],
];

const BY_NAME = new Map(UNITS.flatMap(([name, factor, others]) => [name, ...others].map((n) => [n, factor])));

/** A text that is no duration; `position` is where it stops being one. */
class DurationError extends Error {
  constructor(text, position, reason) {
    super(`${JSON.stringify(text)}: ${reason} at position ${position + 1}`);
    this.name = 'DurationError';
    this.position = position;
  }
}

/** Milliseconds that `text` names: `1h 30m`, `90 minutes`, `1.5h`, `-2d`. */
function parse(text) {
  const part = /\s*(\d+(?:\.\d+)?)\s*([a-z]*)/iy;
  const sign = /^\s*-/.exec(text);
  let total = 0;
  let position = sign ? sign[0].length : 0;
  let previous = Infinity;
  do {
    part.lastIndex = position;
    const match = part.exec(text);
    if (!match) throw new DurationError(text, position, 'expected a number');
    const factor = BY_NAME.get(match[2].toLowerCase());
    const at = position + match[0].length - match[2].length;
    if (factor === undefined) {
      throw new DurationError(text, at, match[2] ? `unknown unit ${JSON.stringify(match[2])}` : 'expected a unit');
    }
    if (factor >= previous) throw new DurationError(text, at, 'units must go from large to small');
    total += Number(match[1]) * factor;
    previous = factor;
    position = part.lastIndex;
  } while (text.slice(position).trim() !== '');
  return sign ? -total : total;
}

/** The shortest exact text for whole milliseconds: `5400000` is `1h 30m`. */
function format(milliseconds) {
  if (!Number.isSafeInteger(milliseconds)) throw new RangeError(`not a whole number: ${milliseconds}`);
  if (milliseconds === 0) return '0s';
  let rest = Math.abs(milliseconds);
  const parts = [];
  for (const [name, factor] of UNITS) {
    const count = Math.floor(rest / factor);
    if (count > 0) parts.push(`${count}${name}`);
    rest %= factor;
  }
  return (milliseconds < 0 ? '-' : '') + parts.join(' ');
}

module.exports = { parse, format, DurationError };
