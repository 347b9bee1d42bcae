"""From rows of text to an aligned Markdown table."""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Mapping, Sequence


class TableError(ValueError):
    """The rows do not make a table."""


class Alignment(enum.Enum):
    LEFT = "left"
    RIGHT = "right"
    CENTER = "center"


def display_width(text: str) -> int:
    """Columns that the text takes in a terminal: a wide character takes two, a combining one none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _cell(text: str) -> str:
    """A line break would end the row, a pipe the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _pad(text: str, width: int, alignment: Alignment) -> str:
    space = width - display_width(text)
    if alignment is Alignment.RIGHT:
        return " " * space + text
    if alignment is Alignment.CENTER:
        return " " * (space // 2) + text + " " * (space - space // 2)
    return text + " " * space


def _rule(width: int, alignment: Alignment) -> str:
    left = ":" if alignment is Alignment.CENTER else "-"
    right = "-" if alignment is Alignment.LEFT else ":"
    return left + "-" * (width - 2) + right


def markdown(rows: Sequence[Sequence[str]], alignments: Mapping[str, Alignment] | None = None) -> str:
    """The rows as a table, the first one as its header; columns named in `alignments` are aligned so."""
    if not rows or not rows[0]:
        raise TableError("there is no header row")
    header = [_cell(text) for text in rows[0]]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) > len(header):
            raise TableError(f"row {number} has {len(row)} cells, the header {len(header)}")
    alignments = alignments or {}
    unknown = set(alignments) - set(rows[0])
    if unknown:
        raise TableError(f"no column is named {', '.join(sorted(unknown))}")

    body = [[_cell(text) for text in row] + [""] * (len(header) - len(row)) for row in rows[1:]]
    aligned = [alignments.get(name, Alignment.LEFT) for name in rows[0]]
    widths = [max(3, *(display_width(row[i]) for row in [header, *body])) for i in range(len(header))]
    lines = [[_pad(*cell) for cell in zip(row, widths, aligned)] for row in [header, *body]]
    lines.insert(1, [_rule(*column) for column in zip(widths, aligned)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
