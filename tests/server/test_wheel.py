"""Does what `make wheel` makes start without a compiler, wherever it is installed?"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import calibrate
from benchmarks.push import cpu_seconds
from benchmarks.server import start, stop
from narfi.core.kernels.code_store import ENDING, SHIPPED
from narfi.core.kernels.jit import kernels
from narfi.core.kernels.modules import import_all
from tests.written import whole_lines

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".*", "build", "dist", "data", "*.egg-info", "__pycache__", "tests", "node_modules")
READY_S = 4.0
"""Processor time until `/ready` on the reference machine, while it has nothing else to do."""
STRICT = os.environ.get("NARFI_TEST_FIRST_START") == "strict"
only_strict = pytest.mark.skipif(
    not STRICT, reason="a minute of starts: make first-start; test_kept_code.py has the parts"
)


@dataclass(frozen=True)
class Installed:
    """Narfi from a wheel, in an environment of its own."""

    python: Path
    package: Path
    home: Path
    """The user's home, empty."""

    @property
    def codes(self) -> list[Path]:
        """Files of compiled code that came with the wheel or were put beside them."""
        return sorted((self.package / SHIPPED.relative_to(ROOT)).glob("*" + ENDING))

    def code_of(self, kernel: str) -> Path:
        """The file of one kernel."""
        (found,) = [file for file in self.codes if f".{kernel}-" in file.name]
        return found

    @property
    def cached(self) -> list[str]:
        """What lies in the user's cache folder."""
        return [file.name for file in self.home.rglob("*" + ENDING)]


def copied(folder: Path, *left_out: str) -> Path:
    """The sources in another place, every file with another time, and what is compiled of them."""
    ignore = shutil.ignore_patterns(*LEFT_OUT, *left_out)
    shutil.copytree(ROOT, folder, ignore=ignore, copy_function=shutil.copyfile)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make wheel` does."""
    sources = copied(tmp_path_factory.mktemp("sources") / "narfi")
    made = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", str(made), "."]
    environment = {**os.environ, "NARFI_COMPILE": "1"}
    subprocess.run(command, cwd=sources, env=environment, check=True)
    (found,) = made.glob("*.whl")
    return found


@pytest.fixture
def installed(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Installed anew; what Narfi depends on is that of the tests."""
    venv, home = tmp_path / "venv", tmp_path / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (package,) = venv.glob("lib/python*/site-packages")
    others = [folder for folder in sys.path if folder.endswith("-packages")]
    (package / "others.pth").write_text("\n".join(others))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    return Installed(python, package, home)


def children(pid: int) -> list[int]:
    """Processes that a process started and that run; a thread may end while they are read."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, (task / "children").read_text().split())
    return found


def wait_until(holds: Callable[[], object]) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start_once(installed: Installed, folder: Path) -> tuple[int, float]:
    """How many kernels a start compiles, and its processor time until `/ready`."""
    log = folder / "log"
    server = start(folder / "data", log=log, python=str(installed.python))
    try:
        seconds = cpu_seconds(server.process.pid)
        told = "\n".join(whole_lines(log))
        (loaded, compiled) = re.findall(r"kernels=(\d+) compiled=(\d+)", told)[-1]
        if int(compiled):  # behind /ready, in processes that a stop would end
            wait_until(lambda: children(server.process.pid))
            wait_until(lambda: not children(server.process.pid))
    finally:
        stop(server)
    import_all()
    assert int(loaded) == len(kernels())
    return int(compiled), seconds


def test_the_wheel_is_for_this_python_and_kind_of_machine(wheel: Path) -> None:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name.endswith(f"-{tag}-{tag}-{platform}.whl")


def test_the_first_start_compiles_nothing(installed: Installed, tmp_path: Path) -> None:
    import_all()
    assert len(installed.codes) == len(kernels())
    compiled, seconds = start_once(installed, tmp_path)
    assert compiled == 0
    assert installed.cached == []
    if STRICT:
        assert seconds < READY_S * calibrate.factor(calibrate.measure())


@only_strict
def test_only_what_is_missing_or_damaged_is_compiled(installed: Installed, tmp_path: Path) -> None:
    damaged = installed.code_of("quantiles")
    damaged.write_bytes(damaged.read_bytes()[:1000])
    missing = installed.code_of("counter_rates")
    missing.unlink()
    assert start_once(installed, tmp_path)[0] == 2
    assert start_once(installed, tmp_path)[0] == 0
    assert missing.exists()
    assert damaged.stat().st_size > 1000


@only_strict
def test_what_the_package_cannot_take_goes_to_the_user_or_nowhere(
    installed: Installed, tmp_path: Path
) -> None:
    missing = installed.code_of("counter_rates")
    missing.unlink()
    missing.mkdir()  # refuses to be replaced by a file, for root too
    assert start_once(installed, tmp_path)[0] == 1
    assert installed.cached == [missing.name]
    assert start_once(installed, tmp_path)[0] == 0
    shutil.rmtree(installed.home / ".cache")
    (installed.home / ".cache").write_text("no folder")
    assert start_once(installed, tmp_path)[0] == 1
