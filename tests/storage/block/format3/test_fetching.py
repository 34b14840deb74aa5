"""Are columns of a far store got with few requests, and are they those of a near one?"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.block.format3.fetching import GAP_BYTES, Part, PartsFile, joined
from storage.block.identity import Layout
from storage.objects.ranged import RangedFile
from storage.scan import Columns, ScanRequest
from tests.storage.blocks import LAYOUTS, MemoryObjects, opened, rows_in, stored
from tests.storage.families import APPS, LINES, line, programs


class FarObjects(MemoryObjects):
    """Each look at an object's bytes is a request."""

    def __init__(self, content: dict[str, bytes]) -> None:
        super().__init__()
        self.content, self.requests = content, 0

    def get(self, key: str) -> bytes:
        """The whole object."""
        self.requests += 1
        return super().get(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several ranges."""
        self.requests += 1
        return [self.content[key][start : start + size] for start, size in ranges]

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A file of which every window is a request."""
        content = self.content[key]

        def read(start: int, length: int) -> bytes:
            self.requests += 1
            return content[start : start + length]

        return pa.PythonFile(RangedFile(len(content), read), mode="r")


RANGES = st.lists(st.tuples(st.integers(0, 10 * GAP_BYTES), st.integers(1, GAP_BYTES)))


@given(RANGES)
def test_near_ranges_are_read_as_one(ranges: list[tuple[int, int]]) -> None:
    found = joined(ranges)
    for start, size in ranges:
        assert any(first <= start and start + size <= first + n for first, n in found)
    for (first, size), (then, _) in pairwise(found):
        assert first + size + GAP_BYTES < then
    edges = {start for start, _ in ranges}, {start + size for start, size in ranges}
    assert {start for start, _ in found} <= edges[0]
    assert {start + size for start, size in found} <= edges[1]


def test_what_was_not_fetched_cannot_be_read() -> None:
    file = PartsFile([Part(10, b"abcdef"), Part(30, b"xyz")], 10, 23)
    assert file.seek(2) == 2
    assert (file.read(3), file.tell()) == (b"cde", 5)
    file.seek(-3, 2)
    assert file.read() == b"xyz"
    for place, size in ((4, 5), (8, 1), (19, 2)):
        file.seek(place)
        with pytest.raises(ValueError, match="were not asked for"):
            file.read(size)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_far_block_is_read_as_a_near_one(layout: Layout) -> None:
    row, objects = stored(programs(), 8, layout=layout)
    rows = np.arange(row.rows)
    near, far = opened(row, objects), opened(row, FarObjects(objects.content))
    assert rows_in(far.fetch(rows, Columns())) == rows_in(near.fetch(rows, Columns()))


@pytest.mark.parametrize(("packed", "times"), [(True, 1), (False, 1 + len(APPS))])
def test_requests_of_a_block(packed: bool, times: int) -> None:
    row, objects = stored(programs(), 8, layout=Layout(3, packed=packed))
    far = FarObjects(objects.content)
    source = opened(row, far)
    assert far.requests == 1, "the index"
    assert len(source.times()) == row.rows
    assert far.requests == 1 + times, "of each object once"


@pytest.mark.parametrize("needle", [b" took 70ms", b"70", b"GET", b"nowhere"])
def test_a_filter_of_one_program_costs_three_requests(needle: bytes) -> None:
    """The index, times and rows, and all columns that the needle may be in."""
    row, objects = stored(programs(), 8, layout=Layout(3, packed=True))
    far = FarObjects(objects.content)
    source = opened(row, far)
    request = ScanRequest(
        streams=np.array([labels.get("app") == "api" for labels in source.table.labels]),
        start_ns=0,
        end_ns=10**9,
        columns=Columns(metadata=False),
        needles=(needle,),
    )
    found = 0
    for part in source.row_groups(request):
        lines = source.read(part, request).lines
        assert lines is not None
        found += int(lines.contains(needle).sum())
    assert found == sum(needle in line("api", number) for number in range(LINES))
    assert far.requests <= 3
