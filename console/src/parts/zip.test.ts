import { describe, expect, it } from "vitest";
import { content, entries } from "./zip";

interface File {
  name: string;
  text: string;
  /** What the directory says in place of the truth. */
  packed?: number;
  method?: number;
  flags?: number;
  wide?: boolean;
}

function bytes(...parts: (number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}
const two = (n: number) => [n & 255, (n >> 8) & 255];
const four = (n: number) => [...two(n & 0xffff), ...two(Math.floor(n / 65536) & 0xffff)];
const eight = (n: number) => [...four(n), 0, 0, 0, 0];

/** An archive of files that are stored as they are; with `wide` their figures are in 64 bits. */
function zip(...files: File[]): Blob {
  const encoder = new TextEncoder();
  let body = bytes();
  let list = bytes();
  for (const { name, text, packed, method = 0, flags = 0, wide = false } of files) {
    const [title, data, offset] = [encoder.encode(name), encoder.encode(text), body.length];
    const size = packed ?? data.length;
    const extra = wide ? bytes(two(1), two(24), eight(size), eight(size), eight(offset)) : bytes();
    const figures = wide ? [...four(0xffffffff), ...four(0xffffffff)] : [...four(size), ...four(size)];
    const at = wide ? 0xffffffff : offset;
    const head = bytes(four(0x04034b50), two(20), two(flags), two(method), four(0), four(0), four(size), four(size));
    body = bytes(body, head, two(title.length), two(3), title, [1, 2, 3], data);
    list = bytes(
      bytes(list, four(0x02014b50), two(20), two(20), two(flags), two(method), four(0), four(0), figures),
      bytes(two(title.length), two(extra.length), two(0), two(0), two(0), four(0), four(at), title, extra),
    );
  }
  const end = bytes(four(0x06054b50), two(0), two(0), two(files.length), two(files.length));
  return new Blob([bytes(body, list, end, four(list.length), four(body.length), two(4), encoder.encode("note"))]);
}

const text = async (archive: Blob, at: number, most = 1000) => {
  const entry = (await entries(archive))[at];
  if (!entry) throw new Error("no such entry");
  const { bytes, isWhole } = await content(archive, entry, most);
  return [new TextDecoder().decode(bytes), isWhole];
};

describe("an archive", () => {
  it("says what it has, and gives it", async () => {
    const archive = zip(
      { name: "a/b.txt", text: "hello" },
      { name: "<b>ü", text: "" },
      { name: "w", text: "wide", wide: true },
    );
    expect((await entries(archive)).map(({ name, size }) => [name, size])).toEqual([
      ["a/b.txt", 5],
      ["<b>ü", 0],
      ["w", 4],
    ]);
    expect(await text(archive, 0)).toEqual(["hello", true]);
    expect(await text(archive, 1)).toEqual(["", true]);
    expect(await text(archive, 2)).toEqual(["wide", true]);
    expect(await text(archive, 0, 2)).toEqual(["he", false]);
  });

  it("that lies is no archive", async () => {
    await expect(text(zip({ name: "a", text: "b", packed: 1_000_000 }), 0)).rejects.toThrow("damaged");
    await expect(text(zip({ name: "a", text: "b", method: 99 }), 0)).rejects.toThrow("99");
    await expect(text(zip({ name: "a", text: "b", flags: 1 }), 0)).rejects.toThrow("encrypted");
    await expect(entries(new Blob(["not a ZIP"]))).rejects.toThrow("no ZIP");
    await expect(entries(new Blob([]))).rejects.toThrow("no ZIP");
  });

  it("that was cut or changed anywhere ends in an error or in what it has, and never goes on", async () => {
    const whole = new Uint8Array(
      await zip({ name: "a", text: "b", wide: true }, { name: "c", text: "d" }).arrayBuffer(),
    );
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0, 1, 255]) {
        const changed = whole.slice();
        changed[at] = value;
        for (const archive of [new Blob([changed]), new Blob([changed.slice(at)]), new Blob([changed.slice(0, at)])]) {
          const found = await entries(archive).catch(() => []);
          for (const entry of found) await content(archive, entry, 100).catch(() => undefined);
          expect(found.length).toBeLessThanOrEqual(2);
        }
      }
    }
  });
});
