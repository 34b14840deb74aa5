"""Do the benchmark's tables say what was measured, and is a peer's time scaled by the machine?"""

import math

import pytest

from benchmarks import calibrate
from benchmarks.query import Timing, load, table


def test_the_factor_is_the_geometric_mean_of_the_quotients() -> None:
    reference = calibrate.REFERENCE_S
    assert calibrate.factor(reference) == pytest.approx(1.0)
    assert calibrate.factor({k: 1.5 * s for k, s in reference.items()}) == pytest.approx(1.5)
    one = {**reference, "json": 32 * reference["json"]}  # the fifth root of 32 is 2
    assert calibrate.factor(one) == pytest.approx(2.0)


def test_each_load_does_its_work() -> None:
    answers = {name: prepare()() for name, prepare in calibrate.LOADS.items()}
    assert set(answers) == set(calibrate.REFERENCE_S)
    assert answers["loop"] == 3_000_000 // 8 * (0 + 1 + 2 + 3 + 4 + 5 + 6 + 7)
    assert answers["search"] == -1
    inflated = answers["inflate"]
    assert isinstance(inflated, bytes)
    assert len(inflated) == 256 * 4000 + 40_000_000
    ordered = answers["sort"]
    assert isinstance(ordered, list)
    assert len(ordered) == 1_000_000
    assert ordered[0] == 0
    rows = answers["json"]
    assert isinstance(rows, list)
    assert rows[30_000] == {"a": 30_000, "b": [30_000, "30000"], "c": {"d": 10_000.0}}


def test_a_table_shows_the_peer_as_measured_and_scaled() -> None:
    rows = [
        Timing(name="a |= b", min_ms=1.0, median_ms=2.0, p99_ms=3.0, items=7, loki_ms=200.0),
        Timing(name="labels", min_ms=1.0, median_ms=1.5, p99_ms=2.0, items=4, loki_ms=None),
    ]
    head, rule, *lines = table({"blocks": rows}, 1.25).splitlines()
    assert head.endswith("| Loki as measured ms | Loki × 1.25 ms | items |")
    assert rule.count("---") == 5
    assert lines == [
        r"| a \|= b | 1.0 / 2.0 / 3.0 | 200 | 250 | 7 |",
        "| labels | 1.0 / 1.5 / 2.0 |  |  | 4 |",
    ]


def test_every_peer_time_is_a_number() -> None:
    times = [query["loki_ms"] for query in load() if "loki_ms" in query]
    assert len(times) >= 10
    assert all(isinstance(ms, int) and math.isfinite(ms) and ms > 0 for ms in times)
