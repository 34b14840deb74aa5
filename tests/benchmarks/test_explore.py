"""Does the benchmark of the page's questions ask what it names?"""

from benchmarks.explore import QUESTIONS, measure


def test_every_question_is_asked() -> None:
    found = {one.question: one for one in measure(2000, 3, logql=True, runs=1)}
    assert list(found) == list(QUESTIONS)
    assert found["facet app"].size == found["histogram by app"].size == 8
    assert found["facet detected_level"].size == found["facet status"].size == 3
    assert found["facet trace_id"].size == 2000
    assert found["histogram"].size == 1
    assert found["fields"].size >= 9
    assert all(one.cpu_ms > 0 for one in found.values())
    assert all(one.logql_ms for name, one in found.items() if name.startswith("facet "))
