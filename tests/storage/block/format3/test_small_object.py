"""Does a small block of a far store come with few requests, checked, and only if there is room?"""

from collections.abc import Sequence

import numpy as np
import pytest

from storage.block.footer import DamagedBlockError
from storage.block.format3 import small_object
from storage.block.identity import Layout
from storage.block.layout import DATA, INDEX
from storage.block.reader import BlockSource, open_block
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.scan import Columns, ScanRequest
from tests.storage.block.format3.test_fetching import FarObjects
from tests.storage.blocks import opened, rows_in, stored
from tests.storage.families import LINES, programs

PACKED = Layout(3, packed=True)


class NamedRequests(FarObjects):
    """It tells what was asked for."""

    def __init__(self, content: dict[str, bytes]) -> None:
        super().__init__(content)
        self.asked: list[str] = []

    def get(self, key: str) -> bytes:
        """The whole object."""
        self.asked.append(f"all of {key.rpartition('/')[2]}")
        return super().get(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several ranges."""
        self.asked.append(f"some of {key.rpartition('/')[2]}")
        return super().get_ranges(key, ranges)


@pytest.fixture(name="block")
def packed_block() -> tuple[BlockRow, NamedRequests]:
    """Of three families."""
    row, objects = stored(programs(), 8, layout=PACKED)
    return row, NamedRequests(objects.content)


@pytest.fixture(params=[True, False], ids=["tiny", "small"])
def tiny(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the block counts as tiny."""
    monkeypatch.setattr("storage.block.reader.TINY", 1 << 30 if request.param else 0)
    return bool(request.param)


def holding(source: BlockSource, needle: bytes) -> int:
    """Lines of all programs in which it is, and their metadata read."""
    request = ScanRequest(
        streams=np.ones(len(source.table), np.bool_),
        start_ns=0,
        end_ns=10**9,
        columns=Columns(),
        needles=(needle,),
    )
    found = 0
    for part in source.row_groups(request):
        batch = source.read(part, request)
        assert batch.lines is not None
        found += int(batch.lines.contains(needle).sum())
    return found


@pytest.mark.parametrize("needle", [b"w", b"7", b"nowhere"])
def test_a_needle_in_all_programs_costs_three_requests(
    block: tuple[BlockRow, NamedRequests], needle: bytes, tiny: bool
) -> None:
    row, far = block
    source = opened(row, far)
    for _ in range(2):
        lines = holding(source, needle)
    assert lines == holding(opened(row, far), needle)
    assert {b"w": 3 * LINES, b"nowhere": 0}.get(needle, lines) == lines
    first = [f"all of {INDEX}", *([] if tiny else [f"some of {DATA}"]), f"all of {DATA}"]
    if needle == b"nowhere":  # what the families say may be enough
        assert far.asked[: len(far.asked) // 2] in (first, first[:-1])
    else:
        assert far.asked == first * 2


def test_times_alone_do_not_read_the_whole(
    block: tuple[BlockRow, NamedRequests], tiny: bool
) -> None:
    row, far = block
    assert len(opened(row, far).times()) == row.rows
    assert far.asked == [f"all of {INDEX}", f"{'all' if tiny else 'some'} of {DATA}"]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("large", [True, False])
def test_without_room_it_is_read_by_ranges(
    block: tuple[BlockRow, NamedRequests], large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, far = block
    rows = np.arange(row.rows)
    want = rows_in(opened(row, far).fetch(rows, Columns()))
    far.asked.clear()
    if large:
        monkeypatch.setattr(small_object, "LARGEST", 1)
    cache = ByteCache[object](1 << 24 if large else 0)
    source = open_block(row, far, ByteCache(1 << 24), cache)
    assert rows_in(source.fetch(rows, Columns())) == want
    assert f"all of {DATA}" not in far.asked


@pytest.mark.usefixtures("tiny")
def test_wrong_bytes_are_an_error_and_not_remembered(
    block: tuple[BlockRow, NamedRequests],
) -> None:
    row, far = block
    key = next(key for key in far.content if key.endswith(f"/{DATA}"))
    right = far.content[key]
    rows = np.arange(row.rows)
    want = rows_in(opened(row, far).fetch(rows, Columns()))
    for wrong in (right[:100] + bytes([right[100] ^ 1]) + right[101:], right[:-1], right + b"x"):
        cache = ByteCache[object](1 << 24)
        source = open_block(row, far, ByteCache(1 << 24), cache)
        far.content[key] = wrong
        with pytest.raises(DamagedBlockError):
            source.fetch(rows, Columns())
        far.content[key] = right
        assert rows_in(source.fetch(rows, Columns())) == want
