"""Is a Bloom filter never wrong about what is there, and does it leave out what is not?"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.block.bloom import Bloom, BloomError
from storage.block.identity import Layout
from storage.block.prune import stored_value
from storage.lines.contains import HoleTest, Where
from storage.lines.template import Hole, HoleKind, HoleType, Role
from storage.scan import Columns, ScanRequest
from tests.storage.batches import Entry
from tests.storage.test_sources import block_source

ROWS = 6000


def entries() -> list[Entry]:
    """Lines with an id each."""
    return [
        ("a", n % 100, b'{"id":"%032x","n":%d}' % (n * 7919 * 10**30 % 16**32 + n, n), {})
        for n in range(ROWS)
    ]


def scanned(source: object, needle: bytes) -> tuple[int, int]:
    """(row groups that are read, rows pruned) for a needle."""
    request = ScanRequest(
        streams=np.ones(1, np.bool_), start_ns=0, end_ns=100, columns=Columns(), needles=(needle,)
    )
    found = source.row_groups(request)  # type: ignore[attr-defined]
    return len(found), request.stats.rows_pruned


@pytest.mark.parametrize("layout", [Layout(2), Layout(3)])
def test_whole_ids_are_sought_by_the_filter(tmp_path: Path, layout: Layout) -> None:
    rows = entries()
    source = block_source(tmp_path, rows, 10, layout)
    ids = [line[7:39] for _, _, line, _ in rows]
    for known in ids[::500]:
        assert scanned(source, known)[0] == 1
        assert scanned(source, b'"id":"' + known + b'"')[0] == 1
    absent = [b"%032x" % (n * 31337 + 12345678901234567890) for n in range(200)]
    assert not set(absent) & set(ids)
    pruned = sum(scanned(source, text) == (0, ROWS) for text in absent)
    assert pruned > 150, "the filter lets one of twenty pass"
    assert scanned(source, ids[0][:-1])[0] == 1, "a part of an id says nothing"


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x15\x80", b"\x15\x40\x00", b"\x15" + b"\xff" * 9]
)
def test_damaged_filters_are_errors(data: bytes) -> None:
    with pytest.raises(BloomError):
        Bloom.parse(data)


@given(st.binary(max_size=20))
def test_values_of_hex_are_as_stored(value: bytes) -> None:
    text = value.hex().encode()
    layout = b"x" * len(text)
    hole = Hole(
        name="h",
        type=HoleType(kind=HoleKind.HEX, layout=layout),
        role=Role.WORD,
        classes=3,
        min_length=len(text),
        max_length=len(text),
    )
    assert stored_value(hole, HoleTest(0, Where.ANYWHERE, text)) == (value or None)
    assert stored_value(hole, HoleTest(0, Where.START, text[:-1])) in (None, b"" or None)
