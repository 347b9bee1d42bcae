// From what a build printed to pieces of text with a look. Whatever a build prints stays text: the only thing that its
// escape sequences can do is to choose one of a few looks, each of which can be read. Nothing can hide text, move it,
// or turn its direction: characters that would are named in its place.

/** One of the sixteen colours of terminals; how each looks is for the style sheet, which makes all of them readable. */
export type Colour = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15;

export interface Look {
  front?: Colour;
  back?: Colour;
  bold?: boolean;
  italic?: boolean;
  underline?: boolean;
}

export interface Piece {
  text: string;
  look: Look;
  /** Stands for a character that is not shown as itself, such as `U+202E`. */
  named?: boolean;
}

/** Longest part of a line that is drawn; the rest can be asked for. */
export const LONGEST_SHOWN = 4000;

// The standard palette, to which every other colour is brought.
const PALETTE: readonly (readonly [number, number, number])[] = [
  [0, 0, 0],
  [205, 49, 49],
  [13, 188, 121],
  [229, 229, 16],
  [36, 114, 200],
  [188, 63, 188],
  [17, 168, 205],
  [229, 229, 229],
  [102, 102, 102],
  [241, 76, 76],
  [35, 209, 139],
  [245, 245, 67],
  [59, 142, 234],
  [214, 112, 214],
  [41, 184, 219],
  [255, 255, 255],
];

function nearest(red: number, green: number, blue: number): Colour {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  PALETTE.forEach(([r, g, b], colour) => {
    const distance = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
    if (distance < least) [least, best] = [distance, colour];
  });
  return best as Colour;
}

function ofTable(index: number): Colour | undefined {
  if (!(index >= 0 && index <= 255)) return undefined;
  if (index < 16) return index as Colour;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return nearest(grey, grey, grey);
  }
  const level = (n: number) => (n === 0 ? 0 : 55 + n * 40);
  const cube = index - 16;
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

/** Applies the numbers of one `ESC [ … m`. */
function applied(look: Look, numbers: number[]): Look {
  let now: Look = { ...look };
  for (let at = 0; at < numbers.length; at++) {
    const n = numbers[at] ?? 0;
    if (n === 0) now = {};
    else if (n === 1) now.bold = true;
    else if (n === 3) now.italic = true;
    else if (n === 4) now.underline = true;
    else if (n === 7) [now.front, now.back] = [now.back, now.front ?? 7];
    else if (n === 22) now.bold = undefined;
    else if (n === 23) now.italic = undefined;
    else if (n === 24) now.underline = undefined;
    else if (n === 27) now.back = undefined;
    else if (n >= 30 && n <= 37) now.front = (n - 30) as Colour;
    else if (n >= 90 && n <= 97) now.front = (n - 82) as Colour;
    else if (n >= 40 && n <= 47) now.back = (n - 40) as Colour;
    else if (n >= 100 && n <= 107) now.back = (n - 92) as Colour;
    else if (n === 39) now.front = undefined;
    else if (n === 49) now.back = undefined;
    else if (n === 38 || n === 48) {
      let colour: Colour | undefined;
      if (numbers[at + 1] === 5) {
        colour = ofTable(numbers[at + 2] ?? 0);
        at += 2;
      } else if (numbers[at + 1] === 2) {
        colour = nearest(numbers[at + 2] ?? 0, numbers[at + 3] ?? 0, numbers[at + 4] ?? 0);
        at += 4;
      }
      if (n === 38) now.front = colour;
      else now.back = colour;
    }
    // Faint, blinking and hidden text (2, 5, 8) stay as readable as any other.
  }
  return now;
}

// CSI, OSC and other strings up to their end, and two-character sequences. A string without an end hides nothing: its
// beginning alone goes.
const ESCAPE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /(?:\u001b\[|\u009b)([0-?]*)[ -/]*([@-~]?)|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u0080-\u009f]*(?:\u0007|\u001b\\|\u009c)|\u001b[ -/]*[0-~]?/g;

// Controls, what turns the direction of text, and what takes no room but is there.
const NAMED =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|\u034f|\u17b4|\u17b5|\u180b|\u180c|\u180d|\u{e0000}|[\u{e0001}-\u{e007f}]/gu;

function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

function push(pieces: Piece[], text: string, look: Look) {
  let from = 0;
  for (const found of text.matchAll(NAMED)) {
    if (found.index > from) pieces.push({ text: text.slice(from, found.index), look });
    pieces.push({ text: nameOf(found[0]), look: {}, named: true });
    from = found.index + found[0].length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), look });
}

/** The pieces of a line. */
export function pieces(line: string): Piece[] {
  const all: Piece[] = [];
  let look: Look = {};
  let from = 0;
  // The end that Windows programs give to lines.
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  for (const found of text.matchAll(ESCAPE)) {
    if (found.index > from) push(all, text.slice(from, found.index), look);
    if (found[2] === "m") {
      const numbers = (found[1] ?? "")
        .split(/[;:]/)
        .slice(0, 32)
        .map((n) => Number.parseInt(n, 10) || 0);
      look = applied(look, numbers);
    }
    from = found.index + found[0].length;
  }
  if (from < text.length) push(all, text.slice(from), look);
  return all;
}

/** What of a line is text. */
export function plain(line: string): string {
  return line.replace(ESCAPE, "");
}

/** Names of classes. A background brings its own colour of text along, so that nobody can choose one that hides it. */
export function classes(look: Look): string {
  const names: string[] = [];
  if (look.back !== undefined) names.push(`ansi-b${look.back}`);
  else if (look.front !== undefined) names.push(`ansi-f${look.front}`);
  if (look.bold) names.push("ansi-bold");
  if (look.italic) names.push("ansi-italic");
  if (look.underline) names.push("ansi-underline");
  return names.join(" ");
}

/** Marks where a text stands in pieces: cuts them there. Capital and small letters are the same unless they matter. */
export function marked(all: Piece[], wanted: string, matchCase: boolean): (Piece & { mark?: boolean })[] {
  if (wanted === "") return all;
  const fold = (text: string) => {
    if (matchCase) return text;
    const lower = text.toLowerCase();
    // Where letters change their length, places would not fit any more.
    return lower.length === text.length ? lower : text;
  };
  const whole = fold(all.map((piece) => (piece.named ? "\u0000".repeat(piece.text.length) : piece.text)).join(""));
  const looked = fold(wanted);
  const places: number[] = [];
  for (let at = whole.indexOf(looked); at >= 0 && places.length < 200; at = whole.indexOf(looked, at + looked.length)) {
    places.push(at);
  }
  if (places.length === 0) return all;
  const out: (Piece & { mark?: boolean })[] = [];
  let begin = 0;
  for (const piece of all) {
    const end = begin + piece.text.length;
    let at = begin;
    for (const place of places) {
      const from = Math.max(place, at);
      const to = Math.min(place + looked.length, end);
      if (from >= to) continue;
      if (from > at) out.push({ ...piece, text: piece.text.slice(at - begin, from - begin) });
      out.push({ ...piece, text: piece.text.slice(from - begin, to - begin), mark: true });
      at = to;
    }
    if (at < end) out.push({ ...piece, text: piece.text.slice(at - begin) });
    begin = end;
  }
  return out;
}
