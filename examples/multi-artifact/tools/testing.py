"""Runs the unit tests of a directory with the standard library alone, and writes a JUnit report."""

from __future__ import annotations

import pathlib
import sys
import time
import unittest

from tools.report import Outcome, write


class Result(unittest.TextTestResult):
    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.outcomes: list[Outcome] = []
        self.began = 0.0

    def startTest(self, test: unittest.TestCase) -> None:
        self.began = time.perf_counter()
        super().startTest(test)

    def _record(self, test: unittest.TestCase, failure: str | None = None) -> None:
        group, _, name = test.id().rpartition(".")
        self.outcomes.append(Outcome(group, name, time.perf_counter() - self.began, failure))

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._record(test)

    def addFailure(self, test: unittest.TestCase, err: tuple) -> None:
        super().addFailure(test, err)
        self._record(test, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: tuple) -> None:
        super().addError(test, err)
        self._record(test, self.errors[-1][1])


def main() -> None:
    directory, report = sys.argv[1:]
    suite = unittest.defaultTestLoader.discover(directory, top_level_dir=".")
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(suite)
    write(pathlib.Path(report), directory, result.outcomes)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
