import { describe, expect, it } from "vitest";
import { classes, marked, pieces, plain } from "./ansi";

const text = (line: string) =>
  pieces(line)
    .map((piece) => piece.text)
    .join("");

describe("a line of a log", () => {
  it("has its colours", () => {
    expect(pieces("a\u001b[1;31mb\u001b[0mc")).toEqual([
      { text: "a", look: {} },
      { text: "b", look: { bold: true, front: 1 } },
      { text: "c", look: {} },
    ]);
    expect(pieces("\u001b[38;5;196mx")[0]?.look.front).toBe(1);
    expect(pieces("\u001b[38;2;30;220;130mx")[0]?.look.front).toBe(10);
    expect(pieces("\u001b[38:5:21mx\u001b[39my").map((piece) => piece.look.front)).toEqual([4, undefined]);
    expect(pieces("\u001b[97;104mx")[0]?.look).toEqual({ front: 15, back: 12 });
  });

  it("cannot be hidden by a colour, nor by being faint or concealed", () => {
    for (const codes of ["30;40", "8", "2;8", "38;2;255;255;255;48;2;255;255;255", "7;37;47"]) {
      const [piece] = pieces(`\u001b[${codes}msecret`);
      expect(piece?.text).toBe("secret");
      // A background has its own colour of text.
      const names = classes(piece?.look ?? {}).split(" ");
      expect(names.filter((name) => /^ansi-[fb]\d+$/.test(name)).length).toBeLessThanOrEqual(1);
    }
  });

  it("loses what else terminals would obey", () => {
    expect(text("a\u001b[2Jb\u001b[10;10Hc\u001b[?25ld")).toBe("abcd");
    expect(text("a\u001b]0;title\u0007b\u001b]52;c;aGk=\u001b\\c")).toBe("abc");
    expect(text("\u001b]8;;http://evil.example\u001b\\click\u001b]8;;\u001b\\")).toBe("click");
    expect(text("a\u009b31mb\u001b(0c\u001bMd")).toBe("abcd");
  });

  it("keeps what follows a sequence that is not finished", () => {
    expect(text("\u001b]0;no end, and then text")).toContain("no end, and then text");
    expect(text("\u001bPno end")).toContain("no end");
    expect(text("a\u001b[")).toBe("a");
    expect(text("a\u001b")).toBe("a");
  });

  it("names characters that turn text around, or that nobody sees", () => {
    expect(pieces("a\u202eb")).toEqual([
      { text: "a", look: {} },
      { text: "U+202E", look: {}, named: true },
      { text: "b", look: {} },
    ]);
    for (const character of ["\u0000", "\u0008", "\r", "\u200b", "\u2066", "\u00ad", "\ufeff", "\u3164", "\u{e0041}"]) {
      expect(pieces(`a${character}b`)[1]?.named, character.codePointAt(0)?.toString(16)).toBe(true);
    }
    expect(text("tab\tand emoji 👩‍💻 stay")).toBe("tab\tand emoji 👩‍💻 stay");
    expect(text("windows\r")).toBe("windows");
  });

  it("is text, whatever it looks like", () => {
    const html = '<img src=x onerror="alert(1)"><script>alert(2)</script>&lt;';
    expect(pieces(html)).toEqual([{ text: html, look: {} }]);
  });

  it("takes time in proportion to its length", () => {
    const begun = performance.now();
    for (const piece of ["\u001b]", "\u009d", "\u001b[", "\u001b[38;5;", "\u009b1", "\u202e", "\u001b"]) {
      pieces(piece.repeat(100_000));
      plain(piece.repeat(100_000));
    }
    expect(performance.now() - begun).toBeLessThan(8_000);
  });
});

describe("what is searched for", () => {
  const shown = (line: string, wanted: string, matchCase = false) =>
    marked(pieces(line), wanted, matchCase).map((piece) => (piece.mark ? `[${piece.text}]` : piece.text));

  it("is marked, over changes of colour too", () => {
    expect(shown("an Error is an error", "error")).toEqual(["an ", "[Error]", " is an ", "[error]"]);
    expect(shown("an Error is an error", "error", true)).toEqual(["an Error is an ", "[error]"]);
    expect(shown("e\u001b[31mrr\u001b[0mor!", "error")).toEqual(["[e]", "[rr]", "[or]", "!"]);
  });

  it("changes nothing of the text", () => {
    for (const wanted of ["", "a", "İ", "aa", "x"]) {
      const line = "aaa İstanbul \u202e aaa";
      expect(
        marked(pieces(line), wanted, false)
          .map((piece) => piece.text)
          .join(""),
      ).toBe(text(line));
    }
  });
});
