"""Every recorded case on every stack, but for the listed ones.

Replayed and without rules, the gate asks a third of the cases: `make properties` asks all of them,
and so does `make conformance`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import Running
from tests.conformance import check
from tests.conformance.known_failures import known_failures
from tests.conformance.stacks import STACKS, TENANT, cases, serve_stack
from tests.reference.budget import PROFILE

PARTS = {"replayed": 3, "plain": 3} if PROFILE == "gate" else {}
"""Of so many cases of a group one is asked on these stacks."""
GROUPS = sorted({str(case["group"]) for case in cases()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of the stacks; one folder for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    found = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "stacks"
    found.mkdir(exist_ok=True)
    return found


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest, folder: Path) -> Iterator[Running]:
    """A server on one of the stacks."""
    with serve_stack(request.param, folder) as running:
        yield running


@pytest.mark.slow
@pytest.mark.every_value
@pytest.mark.parametrize("group", GROUPS)
def test_group(stack: Running, group: str, request: pytest.FixtureRequest) -> None:
    known = known_failures()
    client = check.Client(stack.url, 60)
    wrong = []
    mine = [case for case in cases() if case["group"] == group]
    for case in mine[:: PARTS.get(request.node.callspec.params["stack"], 1)]:
        difference, _ = check.run_one(client, case, TENANT, loose=False)
        if difference and case["id"] not in known:
            wrong.append(f"{case['id']}: {difference}")
        if not difference and case["id"] in known:
            wrong.append(f"{case['id']}: passes, take it off the list")
    assert not wrong, "\n".join(wrong)


def test_known_failures_are_cases() -> None:
    assert set(known_failures()) <= {str(case["id"]) for case in cases()}
