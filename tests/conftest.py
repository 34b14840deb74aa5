"""Common to all tests: kernels compiled before the first test, so that no test pays for it."""

import fcntl
import gc
import os
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from narfi.core import kernels
from narfi.core.kernels.modules import import_all
from narfi.core.kernels.warming import warm_up
from tests.distribution import FORKED_PATHS, GroupScheduling, rank_of
from tests.reference.budget import PROFILE, examples
from tests.servers.forking import Popen, allow

# The gate and `make properties` always draw the same examples; NARFI_TEST_PROFILE=search new ones.
# No clock: neither an example's time nor the time to draw it is a fault of a busy machine.
TIMELESS = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(100)
)
settings.register_profile("gate", TIMELESS, derandomize=True)
settings.register_profile("deep", TIMELESS, derandomize=True)
settings.register_profile("search", TIMELESS, print_blob=True)
settings.load_profile(PROFILE)

pytest_plugins = ["tests.served", "tests.storage.form"]

# What `make programs` and `make clients` made comes after what is installed.
os.environ["PATH"] += f"{os.pathsep}{Path(__file__).parents[1] / '.clients' / 'bin'}"


if os.environ.get("NARFI_TEST_FORK", "1") == "1":
    subprocess.Popen = Popen  # type: ignore[misc]

PROCESSES = ("api", "clients", "server", "examples", "hostile", "ui")
"""Folders whose tests start servers or commands: seconds each, so `make test-fast` leaves them."""

DURABILITY = (
    "ingester/test_machine.py",
    "ingester/test_threads.py",
    "matrix/test_every_call.py",
    "server/test_damaged_files.py",
    "server/test_first_start.py",
    "server/test_runbooks.py",
    "upkeep/test_crash.py",
)
"""Files of `make durability`: minutes of CPU, so `make test` leaves them; CI runs both."""
ALSO_DURABLE = ("deploy/test_alerts_at_work.py",)
"""Files with tests that are marked one by one."""


def pytest_configure(config: pytest.Config) -> None:
    """With several workers: compile all kernels here, before they start; then they only load."""
    if not hasattr(config, "workerinput") and config.getoption("dist", "no") != "no":
        compile_kernels()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: four more than there are cores, since tests of processes mostly wait."""
    return (os.cpu_count() or 1) + 4


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups of tests, one after another on one worker."""
    return GroupScheduling(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What `make clients` builds is asked only when its folder is named.

    `make durability` reads no other file: to import and rewrite all takes each worker ten seconds.
    """
    if collection_path.suffix == ".py" and config.option.markexpr == "durability":
        place = collection_path.relative_to(Path(__file__).parent).as_posix()
        return None if place in (*DURABILITY, *ALSO_DURABLE) else True
    named = any("clients/built" in argument for argument in config.args)
    return True if collection_path.name == "built" and not named else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of those folders; workers begin with the longest groups."""
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).parts[0] in PROCESSES:
            item.add_marker(pytest.mark.slow)
        if item.path.relative_to(tests).as_posix() in DURABILITY:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.durability)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank_of(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing of what is read and imported becomes garbage: an eighth of the time of collecting."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Ten thousand tests and what they import stay: no collection of garbage need look at them."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: may commands of this test be forked?"""
    allow(item.nodeid.startswith(FORKED_PATHS))


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Compile or load every kernel that is imported so far."""
    warm_up()


def compile_kernels() -> None:
    """Compile all kernels, or wait for another process that does."""
    folder = Path(kernels.__file__).parent
    with (folder / "jit.py").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        import_all()
        warm_up()
