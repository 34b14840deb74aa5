"""Is a source believed only where its answer is whole, and waited for where it is busy?"""

import httpx
import pytest

from narfi.history.errors import SourceError
from narfi.history.loki.asking import TooLargeError
from tests.history.fake_loki import FakeLoki


def failing(*answers: httpx.Response) -> FakeLoki:
    """A source that gives these answers first."""
    left = list(answers)
    return FakeLoki({"t": []}, fault=lambda _: left.pop(0) if left else None)


LABELS = "/loki/api/v1/labels"
SPAN = [("start", "0"), ("end", "9")]


def test_a_busy_source_is_waited_for_as_it_asks() -> None:
    waits: list[float] = []
    busy = httpx.Response(429, text="too many", headers={"Retry-After": "7"})
    assert failing(busy, busy).asker(waits=waits).get(LABELS, SPAN) == []
    assert waits == [7.0, 7.0]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="oops"),
        httpx.Response(503, text="not ready"),
        httpx.Response(
            200, content=b'{"status":"succ', headers={"Content-Type": "application/json"}
        ),
        httpx.Response(200, json={"status": "error"}),
        httpx.Response(
            200, json={"status": "success", "data": ["x"], "warnings": ["a block is bad"]}
        ),
        httpx.Response(
            200, json={"status": "success", "data": []}, headers={"X-Narfi-Warning": "a block"}
        ),
    ],
)
def test_what_is_not_whole_is_asked_again(answer: httpx.Response) -> None:
    waits: list[float] = []
    loki = failing(answer, answer)
    assert loki.asker(waits=waits).get(LABELS, SPAN) == []
    assert len(waits) == 2
    assert waits[1] > waits[0]


def test_an_end_of_patience_has_the_last_words() -> None:
    loki = FakeLoki({}, fault=lambda _: httpx.Response(500, text="disk on fire"))
    with pytest.raises(SourceError, match="the source does not answer: 500: disk on fire"):
        loki.asker().get(LABELS, SPAN)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(401, text="no org id"), "does not let us read .*tenant 't'.*token"),
        (httpx.Response(403), "does not let us read"),
        (httpx.Response(404, text="page not found"), "does not speak Loki's API"),
        (httpx.Response(302, headers={"Location": "/login"}), "does not speak Loki's API"),
        (httpx.Response(200, html="<html>"), "answered with text/html"),
        (httpx.Response(400, text="parse error"), "answered 400: parse error"),
    ],
)
def test_what_waiting_does_not_help_is_told_at_once(answer: httpx.Response, told: str) -> None:
    waits: list[float] = []
    with pytest.raises(SourceError, match=told):
        failing(answer).asker(waits=waits).get(LABELS, SPAN)
    assert waits == []


@pytest.mark.parametrize(
    "text",
    [
        "the query time range exceeds the limit (query length: 744h0m0s, limit: 30d1h)",
        "the query would read too many bytes (query: 12 GiB, limit: 1.0 GiB)",
    ],
)
def test_questions_that_are_too_large(text: str) -> None:
    with pytest.raises(TooLargeError):
        failing(httpx.Response(400, text=text)).asker().get(LABELS, SPAN)


def test_the_network_is_waited_for() -> None:
    def away(_: httpx.Request) -> httpx.Response | None:
        if len(loki.asked) < 3:
            raise httpx.ConnectError("refused")
        return None

    loki = FakeLoki({"t": []}, fault=away)
    waits: list[float] = []
    assert loki.asker(waits=waits).get(LABELS, SPAN) == []
    assert len(waits) == 2
