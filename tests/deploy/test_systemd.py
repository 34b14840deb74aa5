"""Are the units right, hardened, and does the server live with what they forbid?"""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.server import free_port
from narfi.cli.main import app
from tests.deploy.dockerfile import ROOT
from tests.promtail_agent.conftest import wait_until
from tests.served import Api

FOLDER = ROOT / "deploy/systemd"
UNITS = sorted(FOLDER.glob("*.service"))
MOST_EXPOSED = 2.5
"""Of systemd's 10; 1.3 and 2.0 as they are, and versions of systemd judge differently."""
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze"
)


def settings(unit: Path) -> dict[str, list[str]]:
    """Keys with their values, of all sections."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


def here(unit: Path, folder: Path) -> Path:
    """The unit with a program that is there."""
    program = folder / "narfi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace("/opt/narfi/bin/narfi", str(program)))
    return copy


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_it(unit: Path, tmp_path: Path) -> None:
    copy = str(here(unit, tmp_path))
    command = ["systemd-analyze", "verify", "--man=no", copy]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if unit.stem in line] == []
    judged = ["systemd-analyze", "security", "--offline=yes", "--no-pager", copy]
    text = subprocess.run(judged, capture_output=True, text=True, check=False).stdout
    found = re.search(r"exposure level for .*: ([\d.]+)", text)
    assert found is not None
    assert float(found[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_commands_and_folders(unit: Path) -> None:
    found = settings(unit)
    (start,), (check,) = found["ExecStart"], found["ExecStartPre"]
    shown = CliRunner().invoke(app, [start.split()[1], "--help"], terminal_width=200).output
    flags = [word for word in start.split() if word.startswith("--")]
    assert flags
    assert [flag for flag in flags if flag not in shown] == []
    assert check.split()[1] == "check-config"
    assert check.split()[-1] in start
    (state,) = found["StateDirectory"]
    assert found["WorkingDirectory"] == [f"/var/lib/{state}"]
    for name in ("NoNewPrivileges", "PrivateDevices", "RestrictSUIDSGID", "LockPersonality"):
        assert found[name] == ["yes"]
    assert found["ProtectSystem"] == ["strict"]


def allowed(unit: Path) -> set[str]:
    """System calls that the unit's filters let through, by systemd's own sets."""

    def members(name: str) -> set[str]:
        command = ["systemd-analyze", "syscall-filter", "--no-pager", name]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        words = {line.strip() for line in listed.splitlines()[1:]}
        inner = {word for word in words if word.startswith("@")}
        plain = {word for word in words - inner if word and not word.startswith("#")}
        return plain.union(*(members(word) for word in inner))

    calls: set[str] = set()
    for line in settings(unit)["SystemCallFilter"]:
        for name in line.removeprefix("~").split():
            calls = calls - members(name) if line.startswith("~") else calls | members(name)
    return calls


COMMON = {"read", "openat", "newfstatat", "lseek", "mmap", "munmap", "brk", "close", "futex"}
"""What a start calls by the ten thousand: taken for used, and not counted."""


@needs_systemd
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
def test_the_server_lives_with_the_filter(tmp_path: Path) -> None:
    """Every system call of a start, a push, a flush, a query and a stop."""
    trace, port = tmp_path / "trace", free_port()
    server = [sys.executable, "-m", "narfi.cli", "serve", "--data-dir", str(tmp_path / "data")]
    server += ["--http", f"127.0.0.1:{port}", "--grpc", f"127.0.0.1:{free_port()}"]
    others = f"!{','.join(sorted(COMMON))}"  # which the kernel lets pass without a stop
    command = ["strace", "-f", "-c", "-qq", "--seccomp-bpf", "-e", others]
    command += ["-U", "name", "-o", str(trace), *server]
    api = Api(f"http://127.0.0.1:{port}", "fake", "")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _is_ready(api), 180)
        api.push({"app": "x"}, *(f"line {k}" for k in range(2000)))
        assert api.send("POST", "/flush", b"", {}).status == 204
        assert api.get("/loki/api/v1/query_range", query='{app="x"} |= "7"').status == 200
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        subprocess.run(["kill", f"-{signal.SIGTERM.value}", child], check=True)
        assert process.wait(120) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    used = set(re.findall(r"^(\w+)$", trace.read_text(), re.M)) - {"name", "syscall", "total"}
    assert {"execve", "clone3", "fdatasync"} <= used
    assert not used & COMMON
    assert (used | COMMON) - allowed(FOLDER / "narfi.service") == set()


def _is_ready(api: Api) -> bool:
    try:
        return api.get("/ready").status == 200
    except OSError:
        return False
