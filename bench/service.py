"""The cases of the service: a live `kiln serve`, asked by signed requests, beside Docker and moto's server."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator

from measure import CommandFailed, Row, duration, in_parallel, interleaved

ROOT = pathlib.Path(__file__).resolve().parent.parent
REGION = "us-east-1"
#: Between two looks at a build.
LOOK = 0.001
#: Clients at a time that ask for records.
CLIENTS = 8
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class _Connection(http.client.HTTPConnection):
    """Waits for nothing before it sends; opened anew where a server closes after each answer, as moto's does."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Client:
    """A client that costs little beside what it measures: one connection for each thread, signed requests."""

    def __init__(self, port: int, key: str, secret: str, data: pathlib.Path | None = None) -> None:
        self.address = self._host = f"127.0.0.1:{port}"
        #: The data directory, of Kiln.
        self.data = data
        self._key, self._secret = key, secret
        self._connections = threading.local()

    def request(self, operation: str, body: bytes) -> dict[str, str]:
        """The headers of a signed request to CodeBuild."""
        return self._asking("codebuild", f"CodeBuild_20161006.{operation}", body)

    def _signed(self, service: str, method: str, path: str, headers: dict[str, str], digest: str) -> dict[str, str]:
        """These headers and those that sign them (Signature Version 4)."""
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = dict(sorted({**headers, "host": self._host, "x-amz-date": date}.items()))
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
        scope = f"{date[:8]}/{REGION}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = ("AWS4" + self._secret).encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def object(self, method: str, path: str, source: pathlib.Path | None = None) -> int:
        """A request to S3, its body a file; how many bytes came back."""
        digest = "UNSIGNED-PAYLOAD" if source else hashlib.sha256(b"").hexdigest()
        headers = self._signed("s3", method, path, {"x-amz-content-sha256": digest}, digest)
        connection = _Connection(self._host, blocksize=1 << 20)
        try:
            if source is None:
                connection.request(method, path, headers=headers)
            else:
                with source.open("rb") as body:
                    headers["content-length"] = str(source.stat().st_size)
                    connection.request(method, path, body, headers)
            response = connection.getresponse()
            got = 0
            while piece := response.read(1 << 20):
                got += len(piece)
            if response.status not in (200, 204):
                raise CommandFailed(f"{method} {path}: status {response.status}")
            return got
        finally:
            connection.close()

    def send(self, headers: dict[str, str], body: bytes) -> bytes:
        connection = getattr(self._connections, "connection", None)
        if connection is None:
            connection = _Connection(self._host)
            self._connections.connection = connection
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise CommandFailed(f"status {response.status}: {answer.decode(errors='replace')[:500]}")
        return answer

    def call(self, operation: str, **members: object) -> dict:
        body = json.dumps(members).encode()
        return json.loads(self.send(self.request(operation, body), body))

    def _asking(self, service: str, target: str, body: bytes) -> dict[str, str]:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": target}
        return self._signed(service, "POST", "/", headers, hashlib.sha256(body).hexdigest())

    def ask(self, service: str, target: str, **members: object) -> dict:
        """A call of another service."""
        body = json.dumps(members).encode()
        return json.loads(self.send(self._asking(service, target, body), body))

    def stream(self, service: str, target: str, members: dict) -> http.client.HTTPResponse:
        """A call whose answer comes bit by bit."""
        body = json.dumps(members).encode()
        connection = _Connection(self._host)
        connection.request("POST", "/", body, self._asking(service, target, body))
        response = connection.getresponse()
        if response.status != 200:
            raise CommandFailed(f"{target}: status {response.status}")
        return response


def _ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Waits until a server answers a request."""
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/-/health")
            connection.getresponse().read()
            connection.close()
            return
        if process.poll() is not None:
            raise CommandFailed(f"{process.args}: ended with status {process.returncode}")
        time.sleep(LOOK)


@contextlib.contextmanager
def _serving(
    kiln: pathlib.Path, data: pathlib.Path, settings: dict[str, str] | None = None
) -> Iterator[tuple[Client, int, float]]:
    """A service, with these variables: client, process id, seconds until it answered."""
    port = _free_port()
    here = ["--data", str(data), "--listen", f"127.0.0.1:{port}"]
    began = time.perf_counter()
    # Variables of the benchmarks are none of the service's, which refuses what it does not know.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    environment |= settings or {}
    with subprocess.Popen([str(kiln), "serve", *here], env=environment, **QUIET) as process:
        try:
            _ready(process, port)
            taken = time.perf_counter() - began
            said = subprocess.run(
                [str(kiln), "env", *here], check=True, capture_output=True, text=True, env=environment
            ).stdout
            lines = (line.removeprefix("export ").partition("=") for line in said.splitlines())
            variables = {name: value.strip("'\"") for name, _, value in lines}
            yield (
                Client(port, variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], data),
                process.pid,
                taken,
            )
        finally:
            process.terminate()


@contextlib.contextmanager
def _moto() -> Iterator[tuple[Client, int, float]]:
    """The same of moto's server."""
    said = subprocess.run([str(ROOT / "scripts/aws-clients"), "moto"], check=True, capture_output=True, text=True)
    place = said.stdout.strip().removeprefix("moto ")
    if place.startswith("skipped: "):
        raise CommandFailed(place)
    port = _free_port()
    began = time.perf_counter()
    with subprocess.Popen([f"{place}/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)], **QUIET) as process:
        try:
            _ready(process, port)
            yield Client(port, "key", "secret"), process.pid, time.perf_counter() - began
        finally:
            process.terminate()


@contextlib.contextmanager
def _fakecloud() -> Iterator[tuple[Client, int, float]]:
    """The same of fakecloud, whose builds run in containers of the Docker daemon beside the benchmarks."""
    said = subprocess.run([str(ROOT / "bench/fakecloud")], stdout=subprocess.PIPE, text=True, check=False)
    if said.returncode != 0:
        raise CommandFailed("fakecloud cannot be had")
    port = _free_port()
    began = time.perf_counter()
    address = ["--addr", f"127.0.0.1:{port}"]
    with subprocess.Popen([said.stdout.strip(), *address, "--log-level", "error"], **QUIET) as process:
        try:
            _ready(process, port)
            yield Client(port, "key", "secret"), process.pid, time.perf_counter() - began
        finally:
            process.terminate()


def _project(client: Client, name: str, image: str, account: str = "000000000000", **source: str) -> None:
    client.call(
        "CreateProject",
        name=name,
        source=source or {"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: ['true']}}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": image, "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=f"arn:aws:iam::{account}:role/kiln-default-build-role",
    )


def _built(client: Client, name: str) -> None:
    build = client.call("StartBuild", projectName=name)["build"]["id"]
    while True:
        record = client.call("BatchGetBuilds", ids=[build])["builds"][0]
        if record["currentPhase"] == "COMPLETED":
            break
        time.sleep(LOOK)
    if record["buildStatus"] != "SUCCEEDED":
        raise CommandFailed(f"build {build} is {record['buildStatus']}")


def _resident(pid: int) -> float:
    """Resident memory, MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) / 1024


def service_overhead(setting) -> list[Row]:
    """From StartBuild until a client sees the build COMPLETED; the build does nothing."""
    from cases import PEER_IMAGE, docker, run

    with _serving(setting.kiln, setting.work / "data") as (client, _, _):
        _project(client, "overhead", PEER_IMAGE)
        ours, peer = interleaved(setting.rounds * 4, lambda: _built(client, "overhead"), lambda: run(docker("true")))
    return [
        Row(
            "StartBuild → COMPLETED, no-op build",
            duration(ours),
            f"`docker run --rm` {duration(peer)}",
            statistics.median(ours) / statistics.median(peer),
            ("<=", 0.15),
        )
    ]


def _through(client: Client, project: str, builds: int) -> float:
    """So many builds, started by 4 clients, until the last one is over: how many a second. None may be lost."""
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        start = lambda _: client.call("StartBuild", projectName=project)["build"]["id"]  # noqa: E731
        ids = list(pool.map(start, range(builds)))
    waiting, ended = list(ids), []
    while waiting:
        records = client.call("BatchGetBuilds", ids=waiting[:100])["builds"]
        over = {record["id"] for record in records if record["buildComplete"]}
        ended += [record["buildStatus"] for record in records if record["buildComplete"]]
        waiting = [build for build in waiting if build not in over]
        if not over:
            time.sleep(0.01)
    taken = time.perf_counter() - began
    if len(set(ids)) != builds or set(ended) != {"SUCCEEDED"}:
        raise CommandFailed(f"{len(set(ids))} builds, ends {sorted(set(ended))}")
    return builds / taken


def service_throughput(setting) -> list[Row]:
    """1,000 no-op builds through the queue, from the first StartBuild until the last one is over: how many a second."""
    from cases import PEER_IMAGE, docker

    builds, containers = 1_000, 8 * setting.rounds
    with _serving(setting.kiln, setting.work / "data") as (client, pid, _):
        _project(client, "throughput", PEER_IMAGE)
        # The memory that a busy server has; from then on it must not grow.
        _through(client, "throughput", 100)
        before = _resident(pid)
        ours = _through(client, "throughput", builds)
        grown = _resident(pid) - before
    theirs = containers / in_parallel(lambda _: docker("true"), containers, 8)
    return [
        Row(
            f"no-op builds a second through the service, {builds:,} in all (memory {before:.1f} {grown:+.1f} MiB)",
            f"{ours:.1f}",
            f"`docker run --rm`, 8 at a time {theirs:.1f}",
            ours / theirs,
            (">=", 8.0),
        ),
        Row("the same, against 40 a second", f"{ours:.1f}", "40", ours / 40, (">=", 1.0)),
    ]


def service_idle(setting) -> list[Row]:
    """A first start, on no data directory, until it answers; and the memory of a server that has nothing to do."""
    data = setting.work / "idle"
    taken, memory = [], []
    for _ in range(setting.rounds):
        shutil.rmtree(data, ignore_errors=True)
        with _serving(setting.kiln, data) as (client, pid, seconds):
            client.call("ListProjects")
            taken.append(seconds)
            memory.append(_resident(pid))
    with _moto() as (client, pid, seconds):
        client.call("ListProjects")
        peer_taken, peer_memory = seconds, _resident(pid)
    median = statistics.median
    return [
        Row(
            "ready after a first start, against 150 ms",
            duration(taken),
            f"moto {peer_taken * 1e3:.0f} ms",
            median(taken) / 0.15,
            ("<=", 1.0),
        ),
        Row(
            "resident memory, idle, against 25 MiB",
            f"{median(memory):.1f} MiB",
            f"moto {peer_memory:.1f} MiB",
            median(memory) / 25,
            ("<=", 1.0),
        ),
    ]


def _rate(client: Client, ids: list[str], seconds: float) -> float:
    """BatchGetBuilds of one build, a second; signed once, as signing is the client's work.

    Several at a time: moto's server sends an answer in two parts, and lets a lone client wait for the second one.
    """
    body = json.dumps({"ids": ids[:1]}).encode()
    headers = client.request("BatchGetBuilds", body)

    def ask(_: int) -> int:
        done, until = 0, time.perf_counter() + seconds
        while time.perf_counter() < until:
            client.send(headers, body)
            done += 1
        return done

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(ask, range(CLIENTS))) / seconds


def service_get(setting) -> list[Row]:
    """BatchGetBuilds of one build: answers a second to several clients."""
    rates: list[list[float]] = [[], []]
    with _serving(setting.kiln, setting.work / "data") as (ours, _, _), _moto() as (theirs, _, _):
        _project(ours, "get", "host")
        # moto knows no project without a source, and has an account of its own.
        _project(theirs, "get", "none", account="123456789012", type="S3", location="bucket/key")
        start = lambda client: client.call("StartBuild", projectName="get")["build"]["id"]  # noqa: E731
        ids = [[start(client) for _ in range(10)] for client in (ours, theirs)]
        while not all(b["buildComplete"] for b in ours.call("BatchGetBuilds", ids=ids[0])["builds"]):
            time.sleep(0.01)
        for _ in range(setting.rounds):
            for client, known, found in zip((ours, theirs), ids, rates):
                found.append(_rate(client, known, 1.0))
    mine, other = (statistics.median(found) for found in rates)
    return [
        Row(f"BatchGetBuilds a second, {CLIENTS} clients", f"{mine:.0f}", f"moto {other:.0f}", mine / other, (">=", 20.0))
    ]


def service_objects(setting) -> list[Row]:
    """An object of 256 MiB into a bucket and back, sealed and synced, beside moto's S3 (in memory) and a synced copy."""
    mebibytes, rounds = 256, max(2, setting.rounds // 2)
    file, copy = setting.work / "object", setting.work / "copied"
    with file.open("wb") as to:
        for _ in range(mebibytes):
            to.write(os.urandom(1 << 20))

    def copied() -> None:
        shutil.copyfile(file, copy)
        with copy.open("rb") as done:
            os.fsync(done.fileno())

    def got(client: Client) -> None:
        if client.object("GET", "/bench/object") != mebibytes << 20:
            raise CommandFailed("the object came back short")

    with _serving(setting.kiln, setting.work / "data") as (ours, pid, _), _moto() as (theirs, _, _):
        for client in (ours, theirs):
            client.object("PUT", "/bench")
        put = lambda client: lambda: client.object("PUT", "/bench/object", file)  # noqa: E731
        puts, peer_puts, copies = interleaved(rounds, put(ours), put(theirs), copied)
        gets, peer_gets = interleaved(rounds, lambda: got(ours), lambda: got(theirs))
        memory = _resident(pid)
    median = statistics.median

    def rate(taken: list[float]) -> str:
        return f"{mebibytes / median(taken):.0f} MiB/s"

    return [
        Row(
            f"PutObject of {mebibytes} MiB, sealed and synced",
            rate(puts),
            f"moto {rate(peer_puts)}",
            median(peer_puts) / median(puts),
            None,
        ),
        Row("the same", rate(puts), f"`cp` and fsync {rate(copies)}", median(copies) / median(puts), None),
        Row(
            f"GetObject of it (memory after all {memory:.0f} MiB)",
            rate(gets),
            f"moto {rate(peer_gets)}",
            median(peer_gets) / median(gets),
            None,
        ),
    ]


def service_fakecloud(setting) -> list[Row]:
    """All of the above beside fakecloud, which takes an hour to compile: only when it is named."""
    from cases import PEER_IMAGE

    builds = 10 * setting.rounds
    with _serving(setting.kiln, setting.work / "data") as (ours, pid, taken):
        with _fakecloud() as (theirs, peer_pid, peer_taken):
            ours.call("ListProjects")
            theirs.call("ListProjects")
            memory, peer_memory = _resident(pid), _resident(peer_pid)
            for client in (ours, theirs):
                _project(client, "peer", PEER_IMAGE, account="000000000000" if client is ours else "123456789012")
            one = lambda client: lambda: _built(client, "peer")  # noqa: E731
            alone, peer_alone = interleaved(setting.rounds, one(ours), one(theirs))
            many, peer_many = (_through(client, "peer", builds) for client in (ours, theirs))
            rates = []
            for client in (ours, theirs):
                known = client.call("ListBuildsForProject", projectName="peer")["ids"]
                rates.append(_rate(client, known, 2.0))
    median = statistics.median
    return [
        Row("ready", f"{taken * 1e3:.0f} ms", f"fakecloud {peer_taken * 1e3:.0f} ms", taken / peer_taken, None),
        Row("resident memory, idle", f"{memory:.1f} MiB", f"fakecloud {peer_memory:.1f} MiB", memory / peer_memory, None),
        Row(
            "StartBuild → COMPLETED, no-op build",
            duration(alone),
            f"fakecloud {duration(peer_alone)}",
            median(alone) / median(peer_alone),
            None,
        ),
        Row(f"no-op builds a second, {builds} in all", f"{many:.1f}", f"fakecloud {peer_many:.1f}", many / peer_many, None),
        Row(
            f"BatchGetBuilds a second, {CLIENTS} clients",
            f"{rates[0]:.0f}",
            f"fakecloud {rates[1]:.0f}",
            rates[0] / rates[1],
            None,
        ),
    ]


_ALL = (service_overhead, service_throughput, service_idle, service_get, service_objects, service_fakecloud)
CASES = {case.__name__.replace("_", "-"): case for case in _ALL}
#: Those that are run only when they are named.
NAMED_ONLY = {"service-fakecloud"}
