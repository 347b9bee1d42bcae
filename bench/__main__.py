"""Runs the cases that are named, or all, and prints the table. Started by `bench/run`."""

from __future__ import annotations

import argparse
import pathlib
import sys

import cases
import console
import logs
import machine
import service
from cases import Setting
from measure import HEADER, CommandFailed

CASES = {**cases.CASES, **service.CASES, "logs": logs.logs, "console": console.console}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the cases and what they measure")
    parser.add_argument("--kiln", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--image", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="more rounds, steadier figures (default: 5)")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    options = parser.parse_args()
    if options.list:
        for name, case in CASES.items():
            print(f"{name:18} {case.__doc__}")
        return 0
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no case is named {', '.join(sorted(unknown))}: there are {', '.join(CASES)}")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")

    print("\n| | |\n| --- | --- |")
    for name, value in machine.describe(options.kiln, options.work):
        print(f"| {name} | {value} |")
    setting = Setting(options.kiln.resolve(), options.work, options.image, options.rounds)
    setting.prepare()
    print(f"\n{HEADER}", flush=True)
    failures = []
    for name in options.cases or [name for name in CASES if name not in service.NAMED_ONLY]:
        try:
            for row in CASES[name](setting):
                print(row.markdown(), flush=True)
        except CommandFailed as error:
            failures.append(f"{name}: {error}")
    for failure in failures:
        print(f"\nbench/run: no figure for {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
