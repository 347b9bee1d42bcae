// What is in a ZIP, read from its end, and its files one by one; nothing is unpacked that nobody looks at. Whoever made it
// may be hostile: sizes are bounded by what there is, and names are only ever text.

export interface Entry {
  name: string;
  /** Bytes, packed and unpacked, as the archive says. */
  packed: number;
  size: number;
  /** 0: stored, 8: deflated. */
  method: number;
  isEncrypted: boolean;
  /** Where its own header begins. */
  offset: number;
}

export class ZipError extends Error {}

/** Entries that are listed; archives may have more. */
export const MOST_ENTRIES = 50_000;

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
/** The end's record, with the longest comment, and the one before it. */
const LONGEST_END = 22 + 0xffff + 20;

async function part(archive: Blob, from: number, to: number): Promise<DataView> {
  if (from < 0 || from > to || to > archive.size) throw new ZipError("it is damaged");
  return new DataView(await archive.slice(from, to).arrayBuffer());
}

function long(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ZipError("it is damaged");
  return Number(value);
}

/** Where the directory is, and how many entries it has. */
async function directory(archive: Blob): Promise<{ from: number; bytes: number }> {
  const begin = Math.max(0, archive.size - LONGEST_END);
  const tail = await part(archive, begin, archive.size);
  for (let at = tail.byteLength - 22; at >= 0; at--) {
    if (tail.getUint32(at, true) !== END || at + 22 + tail.getUint16(at + 20, true) > tail.byteLength) continue;
    const [bytes, from] = [tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)];
    if (bytes !== 0xffffffff && from !== 0xffffffff) return { from, bytes };
    if (at < 20 || tail.getUint32(at - 20, true) !== LOCATOR_64) throw new ZipError("it is damaged");
    const place = long(tail, at - 20 + 8);
    const end = await part(archive, place, place + 56);
    if (end.getUint32(0, true) !== END_64) throw new ZipError("it is damaged");
    return { from: long(end, 48), bytes: long(end, 40) };
  }
  throw new ZipError("it is no ZIP");
}

/** What an archive has, in its order. */
export async function entries(archive: Blob): Promise<Entry[]> {
  const { from, bytes } = await directory(archive);
  const view = await part(archive, from, from + bytes);
  const text = new TextDecoder();
  const found: Entry[] = [];
  let at = 0;
  while (at + 46 <= view.byteLength && found.length < MOST_ENTRIES) {
    if (view.getUint32(at, true) !== ENTRY) throw new ZipError("it is damaged");
    const [nameLength, extraLength] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true)];
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > view.byteLength) throw new ZipError("it is damaged");
    const entry: Entry = {
      name: text.decode(new Uint8Array(view.buffer, at + 46, nameLength)),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      method: view.getUint16(at + 10, true),
      isEncrypted: (view.getUint16(at + 8, true) & 1) === 1,
      offset: view.getUint32(at + 42, true),
    };
    large(entry, new DataView(view.buffer, at + 46 + nameLength, extraLength));
    found.push(entry);
    at = next;
  }
  return found;
}

/** Figures that have no room in an entry's 32 bits are in its extra field 1, those that need it, in this order. */
function large(entry: Entry, extra: DataView) {
  let at = 0;
  while (at + 4 <= extra.byteLength) {
    const [id, length] = [extra.getUint16(at, true), extra.getUint16(at + 2, true)];
    const end = Math.min(at + 4 + length, extra.byteLength);
    if (id === 1) {
      let place = at + 4;
      for (const name of ["size", "packed", "offset"] as const) {
        if (entry[name] !== 0xffffffff || place + 8 > end) continue;
        entry[name] = long(extra, place);
        place += 8;
      }
    }
    at += 4 + length;
  }
}

/** A file of an archive, or so many bytes of its beginning. */
export async function content(
  archive: Blob,
  entry: Entry,
  most: number,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; isWhole: boolean }> {
  if (entry.isEncrypted) throw new ZipError("it is encrypted");
  if (entry.method !== 0 && entry.method !== 8)
    throw new ZipError(`it is packed in a way (${entry.method}) that browsers do not know`);
  const header = await part(archive, entry.offset, entry.offset + 30);
  if (header.getUint32(0, true) !== LOCAL) throw new ZipError("it is damaged");
  const begin = entry.offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (begin + entry.packed > archive.size) throw new ZipError("it is damaged");
  const packed = archive.slice(begin, begin + entry.packed).stream();
  const plain = entry.method === 0 ? packed : packed.pipeThrough(new DecompressionStream("deflate-raw"));
  // Whatever the archive says, no more is unpacked than is wanted.
  const reader = plain.getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  try {
    while (length <= most) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      length += value.byteLength;
    }
  } catch {
    throw new ZipError("it is damaged");
  }
  const isWhole = length <= most;
  if (!isWhole) await reader.cancel();
  const bytes = new Uint8Array(await new Blob(parts).slice(0, most).arrayBuffer());
  return { bytes, isWhole };
}
