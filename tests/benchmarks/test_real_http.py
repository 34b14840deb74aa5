"""Are the questions over HTTP those of the list, and is each needle a new one?"""

from benchmarks.real import START_NS
from benchmarks.real_http import NEEDLES, RUNS, Waited, kinds, table, words
from benchmarks.real_queries import COPY_NS, questions


def test_needles_are_never_asked_twice() -> None:
    found = dict(words())
    assert found.keys() == NEEDLES.keys()
    texts = [text for mine in found.values() for text in mine]
    assert len(set(texts)) == len(texts) == RUNS * len(NEEDLES)
    for name, mine in found.items():
        for text in mine:
            needle = text.split('"')[-2]
            assert len(needle) >= 9
            assert set(needle) <= set(NEEDLES[name])


def test_questions_about_an_app_are_asked_where_it_is() -> None:
    everywhere = [one.name for one in questions() if not one.app and not one.fields]
    end_ns = START_NS + 2 * COPY_NS
    assert [name for name, _ in kinds({"app": [b"line"]}, end_ns, "")] == everywhere
    some = dict(kinds({"postgres": []}, end_ns, "filter"))
    assert "pattern filter" in some
    assert all(len(texts) == RUNS and len(set(texts)) == 1 for texts in some.values())
    assert "STEP" not in str(some)


def test_times_are_told_as_they_would_be_on_the_reference_machine() -> None:
    one = Waited(name="x", first_ms=9.0, min_ms=1.0, median_ms=7.0, max_ms=8.0, cpu_ms=2.0, items=3)
    assert table([one], 0.7).splitlines()[-1] == "| x | 9.0 | 1.0 | 7.0 | 8.0 | 2.0 | 3 | 10.0 |"
