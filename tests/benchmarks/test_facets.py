"""Does the benchmark of facets count what it wrote?"""

from benchmarks.facets import measure


def test_every_label_is_asked_for() -> None:
    found = {one.label: one for one in measure(2000, 3, logql=True, runs=1)}
    assert found["app"].distinct == 1
    assert found["level"].distinct == found["status"].distinct == 3
    assert found["trace_id"].distinct == 2000
    assert all(one.cpu_ms > 0 and one.logql_ms for one in found.values())
