"""Are counts asked by stream and window, cut where servers allow no more, and compared exactly?"""

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logql.parser import parse_selector
from narfi.core.units import NS
from narfi.history.page import Refused
from narfi.history.state import State
from narfi.history.verify import (
    Expected,
    Side,
    Verified,
    counts_there,
    differences,
    selectors_of,
    windows,
)
from tests.history.fake_loki import Entry, FakeLoki

HOUR = NS["h"]
START = 10 * HOUR


class Counting(FakeLoki):
    """It counts too: `sum by (…) (count_over_time({…}[…ms]))`, of so many series at most."""

    most_series = 500

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/query"):
            return super().__call__(request)
        query, at_ns = request.url.params["query"], int(request.url.params["time"])
        function = "count_over_time" if "count_over_time" in query else "bytes_over_time"
        selector = query[query.index("{") : query.index("}") + 1]
        length_ns = int(query.partition("}[")[2].partition("ms]")[0]) * NS["ms"]
        matchers = parse_selector(selector).matchers
        sums: dict[tuple[tuple[str, str], ...], int] = {}
        for labels, ts_ns, line, _ in self.tenants["t"]:
            matches = all(one.matches(labels.get(one.name, "")) for one in matchers)
            if matches and at_ns - length_ns < ts_ns <= at_ns:
                key = tuple(sorted(labels.items()))
                size = 1 if function == "count_over_time" else len(line.encode())
                sums[key] = sums.get(key, 0) + size
        if len(sums) > self.most_series:
            told = f"maximum number of series ({self.most_series}) reached for a single query"
            return httpx.Response(400, text=told)
        result = [{"metric": dict(key), "value": [0, str(n)]} for key, n in sums.items()]
        return httpx.Response(200, json={"status": "success", "data": {"result": result}})


def entries(count: int = 40) -> list[Entry]:
    """A few streams over three hours, some at the very ends of windows."""
    found: list[Entry] = [
        ({"app": f"a{k % 7}", "pod": f"p{k % 3}"}, START + k * HOUR // 13, f"line {k} ü", {})
        for k in range(count)
    ]
    return [
        *found,
        ({"app": "edge"}, START, "first", {}),
        ({"app": "edge"}, START + HOUR - 1, "last of the first", {}),
        ({"app": "edge"}, START + HOUR, "first of the second", {}),
    ]


def counted(
    some: list[Entry], start_ns: int, end_ns: int
) -> dict[tuple[tuple[str, str], ...], tuple[int, int]]:
    """Obviously."""
    found: dict[tuple[tuple[str, str], ...], tuple[int, int]] = {}
    for labels, ts_ns, line, _ in some:
        if start_ns <= ts_ns < end_ns:
            n, size = found.get(tuple(sorted(labels.items())), (0, 0))
            found[tuple(sorted(labels.items()))] = (n + 1, size + len(line.encode()))
    return found


@pytest.mark.parametrize("most", [500, 4, 1])
@pytest.mark.parametrize("hour", [0, 1, 2])
def test_counts_of_a_window(most: int, hour: int) -> None:
    loki = Counting({"t": entries()})
    loki.most_series = most
    span = (START + hour * HOUR, START + (hour + 1) * HOUR)
    found = counts_there(loki.asker(), '{app=~".+"}', *span)
    assert found == counted(entries(), *span)


def test_only_differences_are_told() -> None:
    some = entries()
    side = Side(name="target", asker=Counting({"t": some}).asker(), selectors=['{app=~".+"}'])
    span = (START, START + HOUR)
    expected = {
        "{" + ", ".join(f'{n}="{v}"' for n, v in key) + "}": cell
        for key, cell in counted(some, *span).items()
    }
    assert differences(side, expected, "t", span) == []
    n, size = expected['{app="edge"}']
    expected['{app="edge"}'] = (n, size + 1)
    expected['{app="gone"}'] = (3, 30)
    found = differences(side, expected, "t", span)
    assert [(one.labels, one.expected, one.found) for one in found] == [
        ('{app="edge"}', (n, size + 1), (n, size)),
        ('{app="gone"}', (3, 30), (0, 0)),
    ]


def test_streams_that_nothing_was_imported_of_are_no_differences() -> None:
    side = Side(name="target", asker=Counting({"t": entries()}).asker(), selectors=['{app=~".+"}'])
    found = differences(side, {}, "t", (START, START + HOUR))
    verified = Verified()
    (mine,) = verified.own(found, {'{app="edge"}'})
    assert (mine.labels, mine.found[0]) == ('{app="edge"}', 2)
    assert len(verified.others) == len(found) - 1 > 0


def test_the_name_of_a_service_that_the_target_gave() -> None:
    there: list[Entry] = [({"app": "a", "service_name": "a"}, START, "x", {})]
    side = Side(name="target", asker=Counting({"t": there}).asker(), selectors=['{app="a"}'])
    assert differences(side, {'{app="a"}': (1, 1)}, "t", (START, START + HOUR)) == []
    own = {'{app="a", service_name="a"}': (1, 1)}
    assert differences(side, own, "t", (START, START + HOUR)) == []


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(1, 10**5))
def test_windows_are_the_whole_span_once(start: int, length: int, window: int) -> None:
    found = list(windows(start, start + length, window))
    assert [found[0][1], found[-1][2]] == [start, start + length]
    assert all(before[2] == after[1] for before, after in pairwise(found))
    assert all(first // window == number == (after - 1) // window for number, first, after in found)


def test_what_was_refused_is_expected_at_the_source_only(tmp_path: Path) -> None:
    refused = Refused(tenant="t", labels='{a="b"}', entry=(5, b"bad", ()), reason="r")
    with closing(State(tmp_path / "s", {})) as state:
        state.note({}, {("t", '{a="b"}', 0): [2, 8], ("u", '{a="b"}', 0): [9, 9]}, [refused])
        expected = Expected(state, "t", 10)
    assert expected.of(0, refused_too=False) == {'{a="b"}': (2, 8)}
    assert expected.of(0, refused_too=True) == {'{a="b"}': (3, 11)}


def test_selectors_of_streams() -> None:
    assert selectors_of(['{a="1", b="1"}', '{a="1", b="2"}']) == ['{a="1"}']
    assert selectors_of(['{a="1"}', '{b="2"}']) == ['{a="1", b=""}', '{a="", b="2"}']
