"""The web console, in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import urllib.request
import zipfile

import buildlog
from logs import _BUCKET, _CHUNK, _last_build, _printing
from measure import CommandFailed, Row, duration, percentile
from service import ROOT, Client, _built, _serving

_BROWSER = "/usr/bin/chromium"
_MODULES = ROOT / "console" / "node_modules"
_NEEDLE = "the needle at the end"
_SIZE = 1 << 30
# Short ones behind those, so that there are ten million.
_MORE = 1_500_000


def console(setting) -> list[Row]:
    """The web console in Chromium: its first load, its pages, a printed line until it is seen, a log of 1 GB."""
    for path in (_BROWSER, _MODULES / "playwright-core"):
        if not pathlib.Path(path).exists():
            raise CommandFailed(f"{path} is not there: scripts/setup test; scripts/console")
    chunk, archive = setting.work / "chunk.txt", setting.work / "logs.zip"
    buildlog.write(chunk, _CHUNK)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(chunk, "chunk.txt")
    with _serving(setting.kiln, setting.work / "console-data") as (client, _, _):
        with urllib.request.urlopen(f"http://{client.address}/-/") as page:
            if b'id="root"' not in page.read():
                raise CommandFailed("this kiln was built without the console: scripts/console; cargo build")
        client.object("PUT", f"/{_BUCKET}/logs.zip", archive)
        _printing(client, "small", "seq 100")
        for _ in range(3):
            _built(client, "small")
        ticks = 50 * setting.rounds
        # Slow enough for a line to be alone on its way.
        _printing(client, "ticks", f"sleep 5; for i in $(seq {ticks}); do echo tick $(date +%s%3N); sleep 0.1; done")
        _printing(
            client,
            "large",
            f"for i in $(seq {-(-_SIZE // _CHUNK)}); do cat chunk.txt; done | head -c {_SIZE}; echo; seq {_MORE}; echo {_NEEDLE}",
        )
        _built(client, "large")
        large = _last_build(client, "large")
        lines = client.ask("kiln", "Kiln_20261122.DescribeBuild", id=large, maxSamples=0)["totalLines"]
        # The needle stands in the line that says what is run as well.
        found = client.ask("kiln", "Kiln_20261122.SearchBuildLog", id=large, text=_NEEDLE, backward=True)
        at = found["matches"][0]["number"]
        figures = _driven(setting, client, large=large, lines=lines, needleLine=at, ticks=ticks)
    shutil.rmtree(setting.work / "console-data", ignore_errors=True)
    return list(_rows(figures, lines))


def _driven(setting, client: Client, **told: object) -> dict:
    """What the browser measured; times are in milliseconds."""
    environment = {**os.environ, "KILN_DATA": str(client.data), "KILN_LISTEN": client.address}
    link = subprocess.run([setting.kiln, "console"], env=environment, check=True, capture_output=True, text=True)
    told |= {"link": link.stdout.strip(), "rounds": setting.rounds, "browser": _BROWSER, "needle": _NEEDLE}
    driver = subprocess.run(
        ["node", str(ROOT / "bench" / "console.cjs")],
        input=json.dumps(told),
        env={**os.environ, "NODE_PATH": str(_MODULES)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    if driver.returncode != 0:
        raise CommandFailed(f"bench/console.cjs: {driver.stderr.strip()[-2000:]}")
    return json.loads(driver.stdout)


def _rows(figures: dict, lines: int):
    def timed(what: str, name: str, budget: float | None = None) -> Row:
        times = [time / 1e3 for time in figures[name]]
        median = statistics.median(times)
        if budget is None:
            return Row(what, duration(times), "–", 1.0, None)
        return Row(what, duration(times), f"{budget:g} s", median / budget, ("<=", 1.0))

    sizes = figures["loaded"]
    said = f"{sizes['packed'] / 1024:.0f} KiB, unpacked {sizes['plain'] / 1024:.0f} KiB, {sizes['files']} files"
    yield Row("console: what a first load fetches", said, "–", 1.0, None)
    yield timed("console: first load, nothing cached, until the projects are there", "first", 2.0)
    yield timed("console: the same, cached", "again")
    yield timed("console: from a click on a project until its builds are there", "project")
    yield timed("console: from a click on a build until its log is there", "build")
    delays = [delay / 1e3 for delay in figures["delays"]]
    p50, p95 = (percentile(delays, percent) * 1e3 for percent in (50, 95))
    said = f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, {len(delays)} lines"
    yield Row("console: line printed → on the page, p95", said, "200 ms", p95 / 200, ("<=", 1.0))
    yield timed(f"console: 1 GB of log ({lines:,} lines), opened until it shows its first lines", "opened", 1.0)
    yield timed("console: the same log, from its beginning to its end", "end")
    yield timed("console: the same log, a link to a line in its middle", "linked", 1.0)
    yield timed("console: the same log, a search from its beginning to its end", "found")
    heap = max(figures["heap"]) / (1 << 20)
    yield Row("console: memory of its scripts after a walk through that log", f"{heap:.0f} MiB", "–", 1.0, None)
