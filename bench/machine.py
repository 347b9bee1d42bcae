"""What was measured, and on what: a number without its machine says nothing."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _first(path: str, key: str) -> str:
    for line in pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"


def _file_system(path: pathlib.Path) -> str:
    return _output("stat", "--file-system", "--format=%T", str(path))


def _distribution() -> str:
    for line in pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return "unknown"


def _zip_version() -> str:
    """From a line like `This is Zip 3.0 (July 5th 2008), by Info-ZIP.`"""
    words = _output("zip", "-v").partition("This is Zip ")[2].split()
    return words[0] if words else "unknown"


def describe(kiln: pathlib.Path, work: pathlib.Path) -> list[tuple[str, str]]:
    """Name and value of what the figures depend on."""
    memory_kib = int(_first("/proc/meminfo", "MemTotal").split()[0])
    unified = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
    revision = _output("git", "describe", "--always", "--dirty")
    return [
        ("processor", f"{_first('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores"),
        ("memory", f"{memory_kib / 2**20:.1f} GiB"),
        ("system", f"{_distribution()}, Linux {platform.release()}, cgroup {'v2' if unified else 'v1 or hybrid'}"),
        ("file system", _file_system(work)),
        ("load before", f"{os.getloadavg()[0]:.2f}"),
        ("Kiln", f"{_output(str(kiln), '--version')}, commit {revision}"),
        ("Docker", _output("docker", "version", "--format", "{{.Server.Version}}")),
        ("runc", _output("runc", "--version").splitlines()[0].removeprefix("runc version ")),
        ("Info-ZIP", _zip_version()),
    ]
