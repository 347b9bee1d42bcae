"""The command: CSV from standard input, a Markdown table to standard output."""

from __future__ import annotations

import argparse
import csv
import sys

from tabular.table import Alignment, TableError, markdown


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tabular", description="Makes a Markdown table of the CSV on standard input.")
    parser.add_argument(
        "--align", nargs=2, action="append", default=[], metavar=("HOW", "COLUMN"), help="left, right or center"
    )
    parser.add_argument("--delimiter", default=",", help="what separates the cells (default: a comma)")
    options = parser.parse_args(argv)
    try:
        alignments = {column: Alignment(how) for how, column in options.align}
        rows = list(csv.reader(sys.stdin, delimiter=options.delimiter, strict=True))
        sys.stdout.write(markdown(rows, alignments))
    except (TableError, ValueError, csv.Error) as error:
        print(f"tabular: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
