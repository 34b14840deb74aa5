"""Which streams end up in one family?"""

import numpy as np
import pytest

from narfi.core.labels import Labels
from storage.block.shapes import alike as module
from storage.block.shapes.alike import Alike, alike, app_of
from tests.reference.families import run_of

Streams = list[tuple[dict[str, str], list[bytes]]]


def access(n: int) -> bytes:
    """As a web server prints."""
    return b'10.0.0.%d - - "GET /a/%d HTTP/1.1" 200 %d' % (n % 256, n, n * 7)


def worker(n: int) -> bytes:
    """As a queue prints."""
    return b"level=info job=%d took=%dms" % (n, n * 3)


def marks(n: int) -> bytes:
    """Constants that no other app has."""
    return bytes(b",;"[int(bit)] for bit in f"{n:b}")


def families(streams: Streams) -> list[Alike]:
    """The families of some streams."""
    run = run_of(streams)
    return alike(run.labels, run.stream, run.lines)


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """No family is too small."""
    monkeypatch.setattr(module, "SMALL_BYTES", 0)


@pytest.mark.parametrize(
    ("labels", "app"),
    [
        ({"app": "a", "job": "j"}, "a"),
        ({"job": "j"}, "j"),
        ({"service_name": "s", "app": "a"}, "s"),
        ({"service_name": "unknown_service"}, None),
        ({"filename": "x"}, None),
    ],
)
def test_what_a_stream_says_it_is_of(labels: dict[str, str], app: str | None) -> None:
    assert app_of(Labels.of(labels)) == app


@pytest.mark.usefixtures("any_size")
def test_streams_of_one_app_are_together() -> None:
    streams: Streams = [
        ({"app": "a", "pod": "1"}, [access(n) for n in range(9)]),
        ({"app": "a", "pod": "2"}, [worker(n) for n in range(9)]),
    ]
    assert families(streams) == [Alike("a", [0, 1], "a")]


@pytest.mark.usefixtures("any_size")
def test_apps_that_print_alike_are_together_named_after_the_largest() -> None:
    streams: Streams = [
        ({"app": "a"}, [access(n) for n in range(20)]),
        ({"app": "b"}, [worker(n) for n in range(40)]),
        ({"app": "c"}, [access(n) for n in range(30)]),
    ]
    assert families(streams) == [Alike("c", [0, 2], "a"), Alike("b", [1], "b")]


@pytest.mark.usefixtures("any_size")
def test_streams_without_an_app_are_grouped_by_what_they_print() -> None:
    streams: Streams = [
        ({"filename": f"/var/log/{n}"}, [(access, worker)[n % 2](k) for k in range(30)])
        for n in range(6)
    ]
    assert [found.streams for found in families(streams)] == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.usefixtures("any_size")
def test_a_few_lines_in_common_are_not_enough() -> None:
    streams: Streams = [
        ({"app": "a"}, [access(n) for n in range(30)] + [worker(n) for n in range(10)]),
        ({"app": "b"}, [worker(n) for n in range(30)]),
    ]
    assert len(families(streams)) == 2


def test_small_ones_are_together_in_families_of_bounded_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MISC_BYTES", 20_000)
    streams: Streams = [
        ({"app": f"app-{n:04}"}, [b"%s says <%d>" % (marks(n), k) for k in range(3)])
        for n in range(2000)
    ]
    streams.append(({"app": "big"}, [access(n) for n in range(20_000)]))
    found = families(streams)
    total = sum(len(line) for _, lines in streams[:-1] for line in lines)
    assert found[0].name == "big"
    assert [family.name for family in found[1:3]] == ["misc", "misc-2"]
    assert 2 <= len(found) <= 2 + total // 20_000
    every = sorted(stream for family in found for stream in family.streams)
    assert every == list(range(2001))


def test_one_small_app_keeps_its_name() -> None:
    assert families([({"app": "a"}, [access(n) for n in range(5)])]) == [Alike("a", [0], "a")]


def test_streams_without_rows_are_in_none() -> None:
    run = run_of([({"app": "a"}, []), ({"app": "b"}, [b"x"])])
    found = alike(run.labels, run.stream, run.lines)
    assert [family.streams for family in found] == [[1]]
    assert np.array_equal(run.stream, [1])


@pytest.mark.usefixtures("any_size")
def test_no_name_is_given_twice() -> None:
    streams: Streams = [
        ({"filename": "x", "n": "1"}, [access(n) for n in range(9)]),
        ({"filename": "x", "n": "2"}, [worker(n) for n in range(9)]),
    ]
    assert [family.name for family in families(streams)] == ["x", "x-2"]
