"""Are rows of text written as Python writes them?"""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.row_text import (
    CSV,
    JSON,
    NANOSECONDS,
    NO_TIME,
    RFC3339,
    TEXT,
    row_ends,
    write_rows,
)
from tests.reference.budget import examples

LINES = st.lists(
    st.binary(max_size=30)
    | st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.sampled_from([b"", b"\n", b"a\n\n", b'"', b"=1+1", b"-x", b"\xef\xbf\xbd", b"\xe2\x82"]),
    max_size=8,
)
HEAD = b"> "
TIMES = st.integers(-(2**61), 2**62)


def shown(line: bytes) -> str:
    """U+FFFD for each byte that is no UTF-8."""
    text = line.decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in text)


def rows(
    lines: list[bytes], ts: list[int], pieces: list[bytes], how: int, times: int
) -> list[bytes]:
    """Each row; row k has the piece k modulo their number in front, and one more behind."""
    spans, n = Spans.of(lines), len(lines)
    codes = np.arange(n, dtype=np.int32) % len(pieces)
    behind = [piece + b"|" for piece in pieces]
    (before, after), (first, last) = zip(
        *(
            (np.frombuffer(b"".join(some), np.uint8), np.cumsum([0, *map(len, some)]))
            for some in (pieces, behind)
        ),
        strict=True,
    )
    sizes = [np.diff(ends).astype(np.int32) for ends in (first, last)]
    ends, moments = np.empty(n, np.int64), np.array(ts, np.int64)
    data, start, length = spans.data, spans.start, spans.length
    row_ends(data, start, length, moments, codes, len(HEAD), sizes[0], sizes[1], how, times, ends)
    out = np.empty(int(ends[-1]) if n else 0, np.uint8)
    head = np.frombuffer(HEAD, np.uint8)
    write_rows(
        data, start, length, moments, codes, head, before, first, after, last, how, times, ends, out
    )
    places = [0, *ends.tolist()]
    found = [out.tobytes()[places[k] : places[k + 1]] for k in range(n)]
    assert all(row.startswith(HEAD) for row in found)
    return [row.removeprefix(HEAD) for row in found]


@settings(max_examples=examples(300), deadline=None)
@given(LINES, st.lists(st.binary(max_size=3), min_size=1, max_size=3))
def test_text(lines: list[bytes], pieces: list[bytes]) -> None:
    for k, row in enumerate(rows(lines, [0] * len(lines), pieces, TEXT, NO_TIME)):
        piece = pieces[k % len(pieces)]
        assert row == piece + shown(lines[k].removesuffix(b"\n")).encode() + piece + b"|"


@settings(max_examples=examples(300), deadline=None)
@given(LINES)
def test_json(lines: list[bytes]) -> None:
    for k, row in enumerate(rows(lines, [0] * len(lines), [b'"'], JSON, NO_TIME)):
        assert json.loads(row.removesuffix(b"|")) == shown(lines[k])


@settings(max_examples=examples(300), deadline=None)
@given(LINES)
def test_csv(lines: list[bytes]) -> None:
    for k, row in enumerate(rows(lines, [0] * len(lines), [b'"'], CSV, NO_TIME)):
        text = row.removesuffix(b"|").decode()
        ((found,),) = csv.reader(io.StringIO(text, newline=""), strict=True)
        line = shown(lines[k])
        assert found == ("'" + line if line[:1] in tuple("=+-@\t\r") else line)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(TIMES, min_size=1, max_size=5))
@example([0, -1, 951_782_400 * 10**9, -(2**61), 2**62])
def test_times(ts: list[int]) -> None:
    lines = [b""] * len(ts)
    assert rows(lines, ts, [b""], TEXT, NANOSECONDS) == [b"%d|" % one for one in ts]
    for one, row in zip(ts, rows(lines, ts, [b""], TEXT, RFC3339), strict=True):
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=one // 10**9)
        text = moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{one % 10**9:09d}Z|"
        assert row == text.encode()


@pytest.mark.parametrize("how", [TEXT, JSON, CSV])
def test_no_rows(how: int) -> None:
    assert rows([], [], [b""], how, RFC3339) == []
