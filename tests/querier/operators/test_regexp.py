"""Which groups of a pattern are captured, and does that change what they are?"""

import pytest

from logql.ast import RegexpParser
from narfi.core import regex
from querier.operators.base import Demand
from querier.operators.frame import Frame, frame_of
from querier.operators.regexp import RegexpOperator, only_named_groups
from tests.reference.frames import batch_of

LINES = [b"GET /a 200", b"no", b"POST /b?x=(1) 404", b"", b"GET /c 200"]


def frame(lines: list[bytes]) -> Frame:
    """The lines of one stream."""
    return frame_of(batch_of([({"app": "a"}, {}, 1, line) for line in lines]))


def texts(found: Frame, name: str) -> list[str | None]:
    """The label in each row."""
    column = found.label(name)
    return [None if code < 0 else column.texts[code] for code in column.codes.tolist()]


@pytest.mark.parametrize(
    ("pattern", "captured"),
    [
        ("(?P<a>x)(y)", "(?P<a>x)(?:y)"),
        ("(?<a>x)(?P<b>y)", "(?P<a>x)(?:y)"),
        ("(?P<b>(?P<a>x)y)[(]", "(?:(?P<a>x)y)[(]"),
        (r"\(?P<b>x", r"\(?P<b>x"),
        ("(?i:x)(?P<b_1>y)", "(?i:x)(?:y)"),
    ],
)
def test_groups_that_nobody_looks_at_are_not_captured(pattern: str, captured: str) -> None:
    assert only_named_groups(pattern, lambda name: name == "a") == captured


@pytest.mark.parametrize("count", [1, 100])
@pytest.mark.parametrize("wanted", [None, frozenset(("status",)), frozenset(("status_extracted",))])
def test_a_label_is_the_same_whatever_else_is_wanted(
    wanted: frozenset[str] | None, count: int
) -> None:
    stage = RegexpParser(r"(?P<method>[A-Z]+) (?P<path>\S+) (?P<status>\d+)")
    found = RegexpOperator(stage, Demand(labels=wanted)).apply(frame(LINES * count))
    assert texts(found, "status") == ["200", None, "404", None, "200"] * count
    path = ["/a", None, "/b?x=(1)", None, "/c"] if wanted is None else [None] * 5
    assert texts(found, "path") == path * count


def test_rare_matches_among_many_lines() -> None:
    stage = RegexpParser(r"status=(?P<status>\d+)")
    lines = [b"nothing"] * 1000 + [b"a status=7"] + [b"status="] * 3
    found = RegexpOperator(stage, Demand()).apply(frame(lines))
    assert texts(found, "status") == [None] * 1000 + ["7"] + [None] * 3


def test_a_pattern_of_which_no_group_is_wanted_leaves_the_frame_alone() -> None:
    given = frame(LINES)
    stage = RegexpParser("(?P<method>[A-Z]+)")
    assert RegexpOperator(stage, Demand(labels=frozenset(("x",)))).apply(given) is given


@pytest.mark.parametrize("work", [1, 100, 1_000])
def test_groups_are_the_same_in_runs_of_lines(monkeypatch: pytest.MonkeyPatch, work: int) -> None:
    stage = RegexpParser(r"(?P<method>[A-Z]+) (?P<path>\S+) (?P<status>\d+)?")
    usual = RegexpOperator(stage, Demand()).apply(frame(LINES * 10))
    monkeypatch.setattr(regex, "SEARCH_WORK", work)
    found = RegexpOperator(stage, Demand()).apply(frame(LINES * 10))
    for name in ("method", "path", "status"):
        assert texts(found, name) == texts(usual, name)
