"""The log store: how fast a build's output is stored, seen by a reader, opened anywhere and searched."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator

import buildlog
from measure import CommandFailed, Row, duration, interleaved, percentile, run
from service import Client, _built, _project, _serving

_BUCKET = "kiln-000000000000-us-east-1"
#: Bytes of the text that builds print again and again.
_CHUNK = 16 << 20
_SIZES = ((1, "1 MB"), (100, "100 MB"), (1024, "1 GB"))
_NEEDLE = "the needle at the end"
_ABSENT = "absent words"


def _last_build(client: Client, project: str) -> str:
    return client.call("ListBuildsForProject", projectName=project)["ids"][0]


def _printing(client: Client, name: str, *commands: str) -> None:
    spec = json.dumps({"version": 0.2, "phases": {"build": {"commands": list(commands)}}})
    _project(client, name, "host", type="S3", location=f"{_BUCKET}/logs.zip", buildspec=spec)


def _journal(client: Client, build: str) -> Iterator[bytes]:
    """What a reader of GetBuildJournal gets, while the build runs."""
    response = client.stream("kiln", "Kiln_20261122.GetBuildJournal", {"id": build, "follow": True})
    while piece := response.read1(1 << 16):
        yield piece


def _kiln_logs(setting, client: Client, build: str) -> Iterator[bytes]:
    """What `kiln logs -f` prints."""
    command = [str(setting.kiln), "logs", "-f", build]
    environment = {**os.environ, "KILN_DATA": str(client.data), "KILN_LISTEN": client.address}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0, env=environment) as process:
        while piece := process.stdout.read(1 << 16):
            yield piece


def _events(client: Client, group: str, build: str) -> Iterator[bytes]:
    """What a client has that asks CloudWatch's GetLogEvents again and again, until the build is over."""
    where = {"logGroupName": group, "logStreamName": build.rpartition(":")[2], "startFromHead": True}
    over = False
    while True:
        try:
            page = client.ask("logs", "Logs_20140328.GetLogEvents", **where)
        except CommandFailed:
            # There is no stream before the build has said anything.
            time.sleep(0.005)
            continue
        yield "".join(event["message"] for event in page["events"]).encode()
        if where.get("nextToken") == page["nextForwardToken"]:
            if over:
                return
            over = client.call("BatchGetBuilds", ids=[build])["builds"][0]["buildComplete"]
        where["nextToken"] = page["nextForwardToken"]
        time.sleep(0.001)


def _latencies(pieces: Iterator[bytes]) -> list[float]:
    """Seconds from the moment that a line names until a reader has it."""
    taken, rest = [], b""
    for piece in pieces:
        now = time.time_ns()
        rest += piece
        end = 0
        for line in re.finditer(rb"(?<!\d)(\d{19})\n", rest):
            taken.append((now - int(line[1])) / 1e9)
            end = line.end()
        rest = rest[max(end, len(rest) - 40) :]
    return taken


def _live(setting, client: Client) -> list[Row]:
    lines = 400 * setting.rounds
    _printing(client, "latency", f"sleep 0.5; for i in $(seq {lines}); do date +%s%N; sleep 0.005; done")
    rows = []
    for what, reader in (
        ("reader of GetBuildJournal", lambda build: _journal(client, build)),
        ("`kiln logs -f`", lambda build: _kiln_logs(setting, client, build)),
        ("GetLogEvents, asked each millisecond", lambda build: _events(client, "/aws/codebuild/latency", build)),
    ):
        build = client.call("StartBuild", projectName="latency")["build"]["id"]
        taken = _latencies(reader(build))
        if len(taken) != lines:
            raise CommandFailed(f"{what}: {len(taken)} of {lines} lines were seen")
        p50, p99 = (percentile(taken, percent) * 1e3 for percent in (50, 99))
        said = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        rows.append(Row(f"line printed → {what}, p99 against 50 ms", said, "50 ms", p99 / 50, ("<=", 1.0)))
    return rows


@dataclasses.dataclass
class _Log:
    """A build's log, and the same text beside it."""

    client: Client
    build: str
    plain: pathlib.Path
    compressed: pathlib.Path

    def ask(self, operation: str, **members: object) -> dict:
        return self.client.ask("kiln", f"Kiln_20261122.{operation}", id=self.build, **members)

    def search(self, **members: object) -> dict:
        """A search to its end, or to its first matches."""
        while True:
            found = self.ask("SearchBuildLog", **members)
            if found["complete"] or found["matches"]:
                return found
            members["fromLine"] = found["nextLine"]

    def count(self, **members: object) -> int:
        matched = 0
        while True:
            counted = self.ask("CountBuildLog", **members)
            matched += counted["matchedLines"]
            if counted["complete"]:
                return matched
            members["fromLine"] = counted["nextLine"]

    # `cat` reads what they count: a grep whose output is /dev/null stops at the first line that it finds.

    def grep(self, *words: str) -> Callable[[], None]:
        return lambda: run(["sh", "-c", f"grep -c {' '.join(words)} {self.plain} | cat"])

    def zstd_grep(self, *words: str) -> Callable[[], None]:
        return lambda: run(["sh", "-c", f"zstd -dcq {self.compressed} | grep -c {' '.join(words)} | cat"])


def logs(setting) -> list[Row]:
    """A build's log: stored, seen by live readers, opened anywhere and searched, at 1 MB, 100 MB and 1 GB, beside grep."""
    if shutil.which("zstd") is None:
        raise CommandFailed("zstd is not installed")
    chunk = setting.work / "chunk.txt"
    buildlog.write(chunk, _CHUNK)
    archive = setting.work / "logs.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(chunk, "chunk.txt")
    data = setting.work / "logs-data"
    with _serving(setting.kiln, data) as (client, _, _):
        client.object("PUT", f"/{_BUCKET}/logs.zip", archive)
        rows = _live(setting, client)
        for megabytes, name in _SIZES:
            rows += _at_size(setting, client, chunk, megabytes, name)
    return rows


def _at_size(setting, client: Client, chunk: pathlib.Path, megabytes: int, name: str) -> list[Row]:
    project, size = f"logs-{megabytes}", megabytes << 20
    printing = f"for i in $(seq {-(-size // _CHUNK)}); do cat chunk.txt; done | head -c {size}; echo; echo {_NEEDLE}"
    _printing(client, project, printing)
    began = time.perf_counter()
    _built(client, project)
    stored = time.perf_counter() - began
    log = _Log(client, _last_build(client, project), setting.work / "plain.txt", setting.work / "plain.zst")
    run(["sh", "-c", f"cd {chunk.parent}; {{ {printing}; }} > {log.plain}; zstd -qf1 {log.plain} -o {log.compressed}"])
    total = log.ask("DescribeBuild", maxSamples=0)["totalLines"]
    (segments,) = client.data.glob(f"logs/*/{log.build.rpartition(':')[2]}/segments")
    # The needle stands in the line that says what is run as well.
    if log.count(text=_NEEDLE) != 2 or log.search(text=_NEEDLE, backward=True)["matches"][0]["text"] != _NEEDLE:
        raise CommandFailed(f"the log of {name} has not what it should have")

    def opened(what: str, **members: object) -> Row:
        (times,) = interleaved(setting.rounds * 4, lambda: log.ask("GetBuildLog", maxLines=100, **members))
        ratio = statistics.median(times) / 0.01
        return Row(f"{name}: {what}, against 10 ms", duration(times), "10 ms", ratio, ("<=", 1.0))

    def searched(what: str, ours: Callable[[], object], *words: str) -> list[Row]:
        times, compressed, plain = interleaved(setting.rounds, ours, log.zstd_grep(*words), log.grep(*words))
        peer = f"`zstd -dc \\| grep` {duration(compressed)}, `grep` of the plain text {duration(plain)}"
        median = statistics.median(times)
        rows = [Row(f"{name}: {what}", duration(times), peer, median / statistics.median(compressed), None)]
        if size == 1 << 30:
            rows.append(Row("the same, against 1 s", duration(times), "1 s", median, ("<=", 1.0)))
        return rows

    rate = f"{megabytes / stored:.0f} MiB/s, {total / stored / 1e6:.2f} M lines/s"
    disk, peer_disk = (path.stat().st_size / size for path in (segments, log.compressed))
    rows = [
        Row(f"{name}: the whole build, its log stored", rate, "–", 1.0, None),
        Row(f"{name}: bytes on disk for one of the log", f"{disk:.3f}", f"`zstd -1` {peer_disk:.3f}", disk / peer_disk, None),
        opened("100 lines from its middle", fromLine=total // 2),
        opened("its last 100 lines", tail=100),
        opened("100 lines from a byte in its middle", fromByte=size // 2),
        *searched("a text that is not there", lambda: log.search(text=_ABSENT), f"'{_ABSENT}'"),
        *searched("the same, in any case", lambda: log.search(text=_ABSENT.title(), ignoreCase=True), "-i", f"'{_ABSENT}'"),
        *searched("lines with `warning: `, counted", lambda: log.count(text="warning: "), "'warning: '"),
        *searched("lines with `e`, counted", lambda: log.count(text="e"), "e"),
        *searched(
            "lines like `took_ms.:[78][0-9][0-9]`, counted",
            lambda: log.count(pattern="took_ms.:[78][0-9][0-9]"),
            "'took_ms.:[78][0-9][0-9]'",
        ),
    ]
    for file in (log.plain, log.compressed):
        file.unlink()
    return rows
