"""Every recorded case of the ruler against a served process, but for the listed differences."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import Running, start, stop
from tests.conformance.ruler import check_ruler
from tests.conformance.ruler.known_differences import KNOWN

HERE = Path(__file__).parent
CASES: list[dict[str, Any]] = [
    json.loads(line)
    for path in sorted((HERE / "cases").glob("*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
GROUPS = sorted({case["group"] for case in CASES})
KNOWN_S = 5.0
"""How long a listed difference is looked at; it is there from the first evaluation on."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the settings that the corpus assumes."""
    folder = tmp_path_factory.mktemp("ruler")
    running = start(folder / "data", HERE.parent / "ruler.yaml", folder / "log")
    yield running
    stop(running)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_group(served: Running, group: str) -> None:
    suffix = f"-{time.time_ns()}"

    def run(case: dict[str, Any]) -> str:
        listed, options = case["id"] in KNOWN, case.get("opts", {})
        if listed and "until" in options:
            case = {**case, "opts": {**options, "until": min(options["until"], KNOWN_S)}}
        found: str | None = check_ruler.run(case, served.url, suffix)
        if listed:
            return "" if found else "passes: take it off the list"
        return found or ""

    cases = [case for case in CASES if case["group"] == group]
    workers = (
        1 if any("tenant" in case for case in cases) else 32
    )  # tenants of their own; they wait
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(run, cases))
    wrong = [
        f"{case['id']} {case['about']}: {r}" for case, r in zip(cases, results, strict=True) if r
    ]
    assert not wrong, "\n".join(wrong)


def test_known_differences_are_cases() -> None:
    assert set(KNOWN) <= {case["id"] for case in CASES}
