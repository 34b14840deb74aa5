"""Does a server stay small, awake and polite whatever is sent? One process, a table of inputs.

The inputs stand in `inputs/*.py`, each a tuple `INPUTS`. After each one: only the statuses that it
allows, a reason with every 503 and 504, resident memory within the budgets + 400 MB. In the end:
`/ready` was always answered, and how fast: the loop's CPU time in the gate, with `make hostile` the
wall's too, with what the machine adds while nothing is sent.
"""

import importlib
import os
import pkgutil
from collections.abc import Iterator

import pytest

from tests.hostile import inputs
from tests.hostile.looks import p99
from tests.hostile.server import ALLOWED_RSS, MB, Watch, watched
from tests.hostile.target import Input, Outcome

READY_S = 0.1
STRICT = os.environ.get("NARFI_TEST_HOSTILE") == "strict"


def _inputs() -> list[Input]:
    names = sorted(module.name for module in pkgutil.iter_modules(inputs.__path__))
    modules = [importlib.import_module(f"{inputs.__name__}.{name}") for name in names]
    return [found for module in modules for found in module.INPUTS]


INPUTS = _inputs()


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """The server under attack."""
    with watched(tmp_path_factory.mktemp("hostile")) as found:
        yield found


def test_names_are_different() -> None:
    assert len({found.name for found in INPUTS}) == len(INPUTS)


@pytest.mark.parametrize("given", INPUTS, ids=lambda found: found.name)
def test_input(watch: Watch, given: Input) -> None:
    watch.peak_rss = 0
    outcome = given.attack(watch.target)
    outcomes = [outcome] if isinstance(outcome, Outcome) else list(outcome)
    watch.look()
    statuses = {found.status for found in outcomes}
    assert statuses <= given.allowed, [found.text[:300] for found in outcomes]
    for found in outcomes:
        assert found.status < 500 or found.status in (503, 504)
        assert found.status < 500 or found.text.strip()
    assert watch.peak_rss <= ALLOWED_RSS, f"{watch.peak_rss / MB:.0f} MB"
    assert watch.running.process.poll() is None


def test_the_server_was_awake(watch: Watch) -> None:
    """Behind all inputs: the loop's own time, which no neighbour makes longer, and the wall's."""
    seen = watch.looks.end()
    assert seen.failed == []
    wall_s, loop_s, idle_s = p99(seen.wall_s), p99(seen.loop_s), p99(watch.looks.idle.wall_s)
    told = (
        f"/ready {len(seen.wall_s)} times: p99 {wall_s * 1e3:.0f} ms ({idle_s * 1e3:.0f} when "
        f"idle), the loop's CPU {loop_s * 1e3:.0f} ms; RSS at most {watch.highest / MB:.0f} MB"
    )
    print(told)
    assert loop_s < READY_S, told
    if STRICT:
        assert wall_s < READY_S + 3 * idle_s, told


def test_nothing_unexpected_was_logged(watch: Watch) -> None:
    log = (watch.running.data_dir.parent / "log").read_text()
    assert [line for line in log.splitlines() if "request failed" in line] == []
