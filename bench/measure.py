"""Timing of whole commands, and what is said of the times."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence


class CommandFailed(Exception):
    """A measured command did not end with status 0: there is no figure."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    kiln: str
    peer: str
    ratio: float
    #: Where the ratio must be: ("<=", 0.25) or (">=", 2.0). None: it is said, and no budget is stated.
    budget: tuple[str, float] | None

    @property
    def met(self) -> bool:
        if self.budget is None:
            return True
        relation, bound = self.budget
        return self.ratio <= bound if relation == "<=" else self.ratio >= bound

    def markdown(self) -> str:
        if self.budget is None:
            return f"| {self.what} | {self.kiln} | {self.peer} | {self.ratio:.3g} | – | – |"
        relation, bound = self.budget
        sign = {"<=": "≤", ">=": "≥"}[relation]
        verdict = "yes" if self.met else "**no**"
        return f"| {self.what} | {self.kiln} | {self.peer} | {self.ratio:.3g} | {sign} {bound:g} | {verdict} |"


HEADER = "| what | Kiln | peer | ratio | budget | met |\n| --- | --- | --- | --- | --- | --- |"


def run(command: Sequence[str], stdout: int | pathlib.Path = subprocess.DEVNULL, **options: object) -> None:
    """Runs a command to its end; what it says on failure is shown."""
    if isinstance(stdout, pathlib.Path):
        with stdout.open("wb") as file:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, **options)
    else:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-2000:]
        raise CommandFailed(f"{' '.join(map(str, command))}: status {done.returncode}\n{said}")


def seconds(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def interleaved(rounds: int, *actions: Callable[[], None]) -> list[list[float]]:
    """The seconds of each action in each round, one after the other, so that all see the same noise.

    One round before them, which is not counted, warms the caches of all.
    """
    times: list[list[float]] = [[] for _ in actions]
    for number in range(rounds + 1):
        for action, taken in zip(actions, times):
            value = seconds(action)
            if number > 0:
                taken.append(value)
    return times


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def duration(values: Sequence[float]) -> str:
    """Median, and in brackets minimum and maximum."""
    low, middle, high = min(values), statistics.median(values), max(values)
    if middle >= 1:
        return f"{middle:.2f} s ({low:.2f}–{high:.2f})"
    return f"{middle * 1e3:.1f} ms ({low * 1e3:.1f}–{high * 1e3:.1f})"


def in_parallel(command: Callable[[int], Sequence[str]], total: int, workers: int) -> float:
    """Runs `total` commands, `workers` at a time, and returns the seconds that all took. Each must end with status 0."""
    began = time.perf_counter()
    running: dict[int, subprocess.Popen[bytes]] = {}
    started = 0
    try:
        while started < total or running:
            while started < total and len(running) < workers:
                process = subprocess.Popen(
                    command(started), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                running[process.pid] = process
                started += 1
            pid, status = os.wait()
            process = running.pop(pid, None)
            if process is None:
                continue
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise CommandFailed(f"{' '.join(map(str, process.args))}: status {process.returncode}")
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    return time.perf_counter() - began
