import { memo, useState } from "react";
import { TEXT } from "../text";
import { classes, LONGEST_SHOWN, marked, pieces } from "./ansi";
import type { KeptLine } from "./store";

/** The text of a line. Only ever text nodes: see `ansi.ts`. */
export const LineText = memo(function LineText(props: { line: KeptLine; search: string; matchCase: boolean }) {
  const { line, search, matchCase } = props;
  const [whole, setWhole] = useState(false);
  const shown = whole ? line.text : line.text.slice(0, LONGEST_SHOWN);
  const left = line.text.length - shown.length + line.left;
  return (
    <>
      {marked(pieces(shown), search, matchCase).map((piece, at) => {
        const names = [classes(piece.look), piece.named ? "log-named" : "", piece.mark ? "log-mark" : ""];
        const name = names.filter((one) => one !== "").join(" ");
        if (name === "") return piece.text;
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a line have no other name, and never move
          <span key={at} className={name}>
            {piece.text}
          </span>
        );
      })}
      {left > 0 && (
        <button type="button" className="log-more" disabled={whole} onClick={() => setWhole(true)}>
          {TEXT.log.longer(left)}
        </button>
      )}
    </>
  );
});
