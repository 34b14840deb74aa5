"""A search that may take long looks whether it is still wanted; runs change no answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core import regex
from narfi.core.columns import Spans
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.patience import wanted_while
from narfi.core.text.template.text_functions import TEXT_FUNCTIONS
from storage.lines.plain import PlainLines
from storage.lines.search import spans_match, wanted_runs

DEEP = "(.*b){900}c"
LINES = [f"{n} {'ab ' * 60_000}".encode() for n in range(8)]
TEXTS = st.lists(st.text("ab1\n", max_size=12).map(str.encode), max_size=12)


class NotWantedError(Exception):
    """The work is in vain."""


class Counted:
    """A check that raises at a call."""

    def __init__(self, last: int = 1 << 30) -> None:
        self.calls, self._last = 0, last

    def __call__(self) -> None:
        self.calls += 1
        if self.calls > self._last:
            raise NotWantedError


def test_a_deep_pattern_in_long_lines_looks_behind_each_of_them() -> None:
    check = Counted(1)
    with wanted_while(check), pytest.raises(NotWantedError):
        spans_match(Spans.of(LINES), "[b-c]+(.*b){300}c")
    assert check.calls == 2


def test_usual_patterns_are_searched_for_in_one_go() -> None:
    check = Counted()
    spans = Spans.of(LINES)
    with wanted_while(check):
        assert not spans_match(spans, r"\d{3}\.\d+ .*(GET|POST) /api/v[0-9]").any()
    assert len(list(wanted_runs(spans, r"(\d+)\.\d+ .*(GET|POST) /api/v[0-9]"))) == 1
    assert check.calls <= 1


@given(TEXTS, st.integers(1, 400), st.sampled_from(["a+b", "^1", "b|a1", "", "a(.)b"]))
def test_runs_hold_each_string_once_and_in_order(
    texts: list[bytes], work: int, pattern: str
) -> None:
    spans = Spans.of(texts)
    usual = spans_match(spans, pattern)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regex, "SEARCH_WORK", work)
        runs = list(wanted_runs(spans, pattern))
        assert spans_match(spans, pattern).tolist() == usual.tolist()
        most = regex.bytes_at_once(pattern)
    assert [row for run in runs for row in range(len(texts))[run]] == list(range(len(texts)))
    for run in runs:
        size = sum(map(len, texts[run]))
        assert size <= most or run.stop - run.start == 1


def test_values_and_texts_of_templates_look_too() -> None:
    check = Counted(0)
    with wanted_while(check):
        with pytest.raises(NotWantedError):
            Matcher("a", MatchOp.RE, DEEP).matches("x")
        with pytest.raises(NotWantedError):
            TEXT_FUNCTIONS["regexReplaceAll"].run(DEEP, "x", "y")
        assert Matcher("a", MatchOp.EQ, "x").matches("x")
    assert PlainLines(Spans.of([b"x"])).matches("x").all()
