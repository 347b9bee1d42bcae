"""Writes the search index: which pages a word is on."""

from __future__ import annotations

import collections
import json
import pathlib
import re
import sys


def index(pages: pathlib.Path) -> dict[str, list[str]]:
    found = collections.defaultdict(set)
    for source in pages.rglob("*.txt"):
        address = source.relative_to(pages).with_suffix(".html").as_posix()
        for word in re.findall(r"[a-z]{3,}", source.read_text(encoding="utf-8").lower()):
            found[word].add(address)
    return {word: sorted(found[word]) for word in sorted(found)}


def main() -> None:
    pages, target = map(pathlib.Path, sys.argv[1:])
    words = index(pages)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(words, indent=1) + "\n", encoding="utf-8")
    print(f"{len(words)} words indexed")


if __name__ == "__main__":
    main()
