"""The cases: each measures one budget of Kiln against the peer that it is stated against."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tarfile
import time

from measure import CommandFailed, Row, duration, in_parallel, interleaved, percentile, run

PEER_IMAGE = "kiln-bench"


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the cases are given."""

    kiln: pathlib.Path
    work: pathlib.Path
    #: The image's root file system, as a tarball.
    image: pathlib.Path
    rounds: int

    def project(self, name: str, *commands: str, after: str = "") -> pathlib.Path:
        """A directory with a buildspec of these commands; each is a YAML double-quoted scalar."""
        directory = self.work / name
        directory.mkdir(exist_ok=True)
        quoted = "".join('      - "{}"\n'.format(c.replace("\\", "\\\\").replace('"', '\\"')) for c in commands)
        text = f"version: 0.2\nphases:\n  build:\n    commands:\n{quoted}{after}"
        (directory / "buildspec.yml").write_text(text, encoding="utf-8")
        return directory

    def build(self, project: pathlib.Path, *options: str) -> list[str]:
        """The command that builds a project in the image that the peer runs."""
        return [str(self.kiln), "run", str(project), "--image", PEER_IMAGE, *options]

    def prepare(self) -> None:
        """Gives the image to Kiln and to Docker, under one name."""
        run([str(self.kiln), "image", "import", "--quiet", "--name", PEER_IMAGE, str(self.image)])
        run(["docker", "import", str(self.image), PEER_IMAGE])


def docker(*arguments: str) -> list[str]:
    return ["docker", "run", "--rm", PEER_IMAGE, *arguments]


def noop(setting: Setting) -> list[Row]:
    """A build that does nothing, from the start of the command to its end."""
    project = setting.project("noop", "true")
    host = [str(setting.kiln), "run", str(project)]
    in_image, on_host, peer = interleaved(
        setting.rounds * 4,
        lambda: run(setting.build(project)),
        lambda: run(host),
        lambda: run(docker("true")),
    )
    base = statistics.median(peer)
    peer_text = f"`docker run --rm` {duration(peer)}"
    return [
        Row("no-op build, same image", duration(in_image), peer_text, statistics.median(in_image) / base, ("<=", 0.25)),
        Row("no-op build, image `host`", duration(on_host), peer_text, statistics.median(on_host) / base, ("<=", 0.25)),
    ]


def throughput(setting: Setting) -> list[Row]:
    """No-op builds, 8 at a time: how many a second, and whether all succeed."""
    project = setting.project("noop", "true")
    builds, containers, workers = 60 * setting.rounds, 8 * setting.rounds, 8
    ours = builds / in_parallel(lambda _: setting.build(project), builds, workers)
    theirs = containers / in_parallel(lambda _: docker("true"), containers, workers)
    return [
        Row(
            f"no-op builds a second, {workers} at a time, {builds} in all",
            f"{ours:.1f}",
            f"`docker run --rm` {theirs:.1f}",
            ours / theirs,
            # 40 a second on two cores, where `docker run` makes 5.
            (">=", 8.0),
        )
    ]


def _sha256(path: pathlib.Path, digits_only: bool) -> tuple[str, int]:
    """Digest and number of the lines; if wished, of those alone that are a number."""
    digest, count = hashlib.sha256(), 0
    with path.open("rb") as file:
        for line in file:
            if not digits_only or line[:-1].isdigit():
                digest.update(line)
                count += 1
    return digest.hexdigest(), count


def output(setting: Setting) -> list[Row]:
    """`seq` in a build: lines a second into the journal and out of the terminal, complete and in order."""
    lines, peer_lines = 20_000_000, 1_000_000
    project = setting.project("output", f"seq 1 {lines}")
    empty = setting.project("noop", "true")
    log, expected = setting.work / "seq.log", setting.work / "seq.expected"
    ours, start = interleaved(
        max(2, setting.rounds // 2), lambda: run(setting.build(project), stdout=log), lambda: run(setting.build(empty))
    )
    run(["seq", "1", str(lines)], stdout=expected)
    if _sha256(log, digits_only=True) != _sha256(expected, digits_only=False):
        raise CommandFailed("the build's output is not what it printed: lines lost, doubled or reordered")
    log.unlink()
    expected.unlink()

    def detached() -> None:
        # Into the log driver alone, without a client that reads along: the peer's best case.
        name = f"bench-seq-{os.getpid()}"
        run(["docker", "run", "--detach", "--name", name, PEER_IMAGE, "seq", "1", str(peer_lines)])
        run(["docker", "wait", name])
        run(["docker", "rm", name])

    peer, peer_start = interleaved(max(2, setting.rounds // 2), detached, lambda: run(docker("true")))
    rate = lines / (statistics.median(ours) - statistics.median(start))
    peer_rate = peer_lines / (statistics.median(peer) - statistics.median(peer_start))
    peer_text = f"Docker's default log driver {peer_rate / 1e6:.2f} M"
    return [
        Row(f"lines a second, `seq 1 {lines}`", f"{rate / 1e6:.2f} M", peer_text, rate / peer_rate, (">=", 26.0)),
        Row("the same, against 10 M a second", f"{rate / 1e6:.2f} M", "10 M", rate / 10e6, (">=", 1.0)),
    ]


def _latencies(command: list[str], count: int) -> list[float]:
    """Seconds from the moment that a line names (nanoseconds since the epoch) to its arrival here."""
    taken = []
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, **quiet) as process:
        rest = b""
        while chunk := os.read(process.stdout.fileno(), 1 << 16):
            now = time.time_ns()
            *complete, rest = (rest + chunk).split(b"\n")
            taken += [(now - int(line)) / 1e9 for line in complete if line.isdigit() and len(line) == 19]
    if process.returncode != 0 or len(taken) != count:
        raise CommandFailed(f"{' '.join(command)}: status {process.returncode}, {len(taken)} of {count} lines")
    return taken


def latency(setting: Setting) -> list[Row]:
    """A line printed in the build until a reader of the live log has it."""
    count = 100 * setting.rounds
    script = f"for i in $(seq {count}); do date +%s%N; sleep 0.005; done"
    project = setting.project("latency", script)
    ours = _latencies(setting.build(project), count)
    theirs = _latencies(docker("sh", "-c", script), count)
    text = "p50 {:.2f} ms, p99 {:.2f} ms".format
    row = [percentile(values, 50) * 1e3 for values in (ours, theirs)]
    tail = [percentile(values, 99) * 1e3 for values in (ours, theirs)]
    return [
        Row(
            "line printed → visible, p99 against 50 ms",
            text(row[0], tail[0]),
            f"`docker run` {text(row[1], tail[1])}",
            tail[0] / 50,
            ("<=", 1.0),
        )
    ]


def _tree(directory: pathlib.Path, mebibytes: int) -> None:
    """Files that compress as sources and objects do, the same ones each time: about a third of their size."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz_", k=chance.randint(2, 12))) for _ in range(6000)]
    written, number = 0, 0
    while written < mebibytes << 20:
        size = int(chance.paretovariate(0.9) * 2048) % (4 << 20) + 512
        text = " ".join(chance.choices(words, k=size // 7 + 1)).encode()
        if number % 5 == 0:
            text += chance.randbytes(size // 4)
        path = directory / f"d{number % 37}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        written += len(text)
        number += 1


def artifact(setting: Setting) -> list[Row]:
    """The ZIP of a build's artifact, against `zip -r` of the same files."""
    mebibytes = 256
    artifacts = "artifacts:\n  name: a.zip\n  files:\n    - 'tree/**/*'\n"
    project = setting.project("artifact", "true", after=artifacts)
    tree = project / "tree"
    if not tree.exists():
        _tree(tree, mebibytes)
    without = setting.work / "without"
    shutil.copytree(project, without, copy_function=os.link)
    (without / "buildspec.yml").unlink()
    setting.project("without", "true")
    target, archive = setting.work / "artifacts", setting.work / "peer.zip"

    def ours() -> None:
        shutil.rmtree(target, ignore_errors=True)
        run(setting.build(project, "--artifacts", str(target)))

    def zipped() -> None:
        archive.unlink(missing_ok=True)
        run(["zip", "--quiet", "--recurse-paths", str(archive), "tree"], cwd=project)

    rounds = max(2, setting.rounds // 2)
    with_artifact, plain, peer = interleaved(rounds, ours, lambda: run(setting.build(without)), zipped)
    made = [path for path in target.rglob("*.zip")]
    if len(made) != 1:
        raise CommandFailed(f"expected one ZIP in {target}, found {len(made)}")
    run(["unzip", "-tq", str(made[0])])
    taken = statistics.median(with_artifact) - statistics.median(plain)
    sizes = f"{made[0].stat().st_size / 2**20:.0f} and {archive.stat().st_size / 2**20:.0f} MiB"
    return [
        Row(
            f"artifact ZIP of {mebibytes} MiB ({sizes})",
            f"{mebibytes / taken:.0f} MiB/s",
            f"`zip -r` {mebibytes / statistics.median(peer):.0f} MiB/s",
            statistics.median(peer) / taken,
            (">=", 2.0),
        )
    ]


def _saved(image: pathlib.Path, archive: pathlib.Path, name: str) -> None:
    """An archive as `docker save` writes it of an image of one layer: the image's files, and one with the name."""
    layer = archive.with_suffix(".layer")
    shutil.copyfile(image, layer)
    with tarfile.open(layer, "a") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with layer.open("rb") as file:
        diff_id = hashlib.file_digest(file, "sha256").hexdigest()
    root_fs = {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": root_fs}).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [f"{name}:latest"], "Layers": [f"{diff_id}/layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        tar.add(layer, f"{diff_id}/layer.tar")
        for member, content in ((config_name, config), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    layer.unlink()


def image(setting: Setting) -> list[Row]:
    """A saved image into the store, until builds can start from it."""
    # Each round has an image of its own, and nothing is removed in between: for a minute ext4 searches its way past the
    # inodes of every file that was deleted, which would be most of the time of whoever comes next.
    rounds = [f"kiln-bench-{number}" for number in range(max(3, setting.rounds // 2) + 1)]
    archives = [setting.work / f"{name}.tar" for name in rounds]
    for name, archive in zip(rounds, archives):
        _saved(setting.image, archive, name)
    size = archives[0].stat().st_size / 2**20
    left, left_by_peer = iter(zip(rounds, archives)), iter(archives)

    def ours() -> None:
        name, archive = next(left)
        environment = {**os.environ, "KILN_DATA": str(setting.work / f"{name}.data")}
        run([str(setting.kiln), "image", "import", "--quiet", str(archive)], env=environment)

    def loaded() -> None:
        run(["docker", "load", "--input", str(next(left_by_peer))])

    taken, peer = interleaved(len(rounds) - 1, ours, loaded)
    for name, archive in zip(rounds, archives):
        shutil.rmtree(setting.work / f"{name}.data")
        archive.unlink()
        run(["docker", "rmi", name])
    return [
        Row(
            f"image import, {size:.0f} MiB",
            duration(taken),
            f"`docker load` {duration(peer)}",
            statistics.median(taken) / statistics.median(peer),
            ("<=", 1.0),
        )
    ]


CASES = {case.__name__: case for case in (noop, throughput, output, latency, artifact, image)}
