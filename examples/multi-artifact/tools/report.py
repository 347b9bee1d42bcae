"""JUnit XML from a list of outcomes."""

from __future__ import annotations

import dataclasses
import pathlib
import xml.etree.ElementTree as ET


@dataclasses.dataclass(frozen=True)
class Outcome:
    group: str
    name: str
    seconds: float = 0.0
    failure: str | None = None


def write(path: pathlib.Path, suite: str, outcomes: list[Outcome]) -> None:
    failures = sum(outcome.failure is not None for outcome in outcomes)
    root = ET.Element(
        "testsuite", name=suite, tests=str(len(outcomes)), failures=str(failures), errors="0", skipped="0"
    )
    for outcome in outcomes:
        case = ET.SubElement(
            root, "testcase", classname=outcome.group, name=outcome.name, time=f"{outcome.seconds:.6f}"
        )
        if outcome.failure is not None:
            ET.SubElement(case, "failure", message=outcome.failure.strip().splitlines()[-1]).text = outcome.failure
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
