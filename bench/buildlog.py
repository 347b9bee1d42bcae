"""Text as builds print it: what package managers, compilers and test runners say, with colours, digests and times."""

from __future__ import annotations

import pathlib
import random

_WORDS = (
    "core api http json yaml test utils client server cache store parser model config async stream crypto image log "
    "metric router schema query index worker task event state view form build agent proxy token policy batch"
).split()


def _name(random: random.Random) -> str:
    return "-".join(random.choices(_WORDS, k=random.randint(1, 3)))


def _digest(random: random.Random, length: int) -> str:
    return f"{random.getrandbits(length * 4):0{length}x}"


def _version(random: random.Random) -> str:
    return f"{random.randint(0, 9)}.{random.randint(0, 30)}.{random.randint(0, 20)}"


def _maven(r: random.Random) -> str:
    path = f"org/{_name(r).replace('-', '/')}/{_name(r)}/{_version(r)}"
    return f"[INFO] Downloaded from central: https://repo.example.com/maven2/{path}/{_name(r)}.jar ({r.randint(3, 900)} kB at {r.random() * 9:.1f} MB/s)"


def _npm(r: random.Random) -> str:
    return f"npm http fetch GET 200 https://npm.example.com/{_name(r)}/-/{_name(r)}-{_version(r)}.tgz {r.randint(8, 900)}ms (cache miss)"


def _cc(r: random.Random) -> str:
    source = f"src/{_name(r)}/{_name(r)}.c"
    return f"gcc -O2 -g -Wall -Wextra -Iinclude -Ibuild/gen -DVERSION=\\\"{_version(r)}\\\" -MMD -c {source} -o build/{source}.o"


def _warning(r: random.Random) -> str:
    place = f"src/{_name(r)}/{_name(r)}.c:{r.randint(1, 4000)}:{r.randint(1, 90)}"
    return f"\x1b[01m\x1b[K{place}:\x1b[m\x1b[K \x1b[01;35m\x1b[Kwarning: \x1b[m\x1b[Kunused variable '\x1b[01m\x1b[K{_name(r)}\x1b[m\x1b[K' [\x1b[01;35m\x1b[K-Wunused-variable\x1b[m\x1b[K]"


def _test(r: random.Random) -> str:
    name = _name(r).replace("-", "_")
    return f"tests/{name}/test_{_name(r).replace('-', '_')}.py::test_{name}[{r.randint(0, 99)}] \x1b[32mPASSED\x1b[0m\x1b[32m [{r.randint(0, 100):3}%]\x1b[0m"


def _go(r: random.Random) -> str:
    return f"ok  \tgithub.example.com/{_name(r)}/{_name(r)}/internal/{_name(r)}\t{r.random() * 9:.3f}s\tcoverage: {r.random() * 100:.1f}% of statements"


def _docker(r: random.Random) -> str:
    return f"#{r.randint(5, 40)} sha256:{_digest(r, 64)} {r.random() * 90:.2f}MB / 92.14MB {r.random() * 30:.1f}s"


def _service(r: random.Random) -> str:
    when = f"2026/11/26 {r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}.{r.getrandbits(20):06}"
    return f"[Container] {when} Running command make -C {_name(r)} {_name(r)}"


def _json(r: random.Random) -> str:
    return f'{{"level":"info","ts":{1795690000 + r.random() * 1e4:.3f},"logger":"{_name(r)}","msg":"{_name(r)} ready","id":"{_digest(r, 32)}","took_ms":{r.randint(1, 900)}}}'


_KINDS = ((_maven, 18), (_npm, 14), (_cc, 24), (_warning, 6), (_test, 20), (_go, 6), (_docker, 4), (_service, 3), (_json, 5))


def write(path: pathlib.Path, size: int) -> None:
    """Writes about so many bytes of a log, always the same ones."""
    generator = random.Random(1)
    kinds = [kind for kind, _ in _KINDS]
    weights = [weight for _, weight in _KINDS]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        written = 0
        while written < size:
            # A tool says many lines before the next one has its turn.
            (kind,) = generator.choices(kinds, weights)
            for _ in range(generator.randint(5, 80)):
                written += file.write(kind(generator) + "\n")
