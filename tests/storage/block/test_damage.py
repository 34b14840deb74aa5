"""Does a damaged block give an error that names the file, and never other rows?"""

import errno
import os
from collections.abc import Sequence
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from narfi.core.errors import AppError, ErrorKind
from storage.block.check import State, block_faults
from storage.block.footer import DamagedBlockError
from storage.block.identity import Layout
from storage.block.layout import LINES, MANIFEST, ROWS, STREAMS
from storage.catalog.base import BlockRow
from storage.objects.base import ObjectError
from storage.scan import Columns, ScanRequest
from storage.sorting import merge_batches
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import Entry
from tests.reference.similar import SEQUENCES, look_alikes, print_rows
from tests.storage.blocks import LAYOUTS, MemoryObjects, Row, merged, opened, rows_in, stored

UNLIKE = [b"()" * n for n in range(9)]


def written(layout: Layout) -> tuple[BlockRow, MemoryObjects, dict[int, Row]]:
    """A block with shapes of all kinds and plain lines; and its rows."""
    kinds = ["hash", "random", "price", "address", "iso_ms", "path"]
    mixed = [p for kind in kinds for p in (kind.encode() + b"=", SEQUENCES[kind], b" ")]
    lines = [line for _, found in look_alikes() for line in found]
    lines += [*print_rows(mixed, 3000, 1), *UNLIKE]
    entries: list[Entry] = [
        ({"app": "a"}, {"pod": f"p{n % 3}"}, n, line) for n, line in enumerate(lines)
    ]
    run = merge_batches([batch_of(entries)])
    return *stored(run, 5, layout=layout), rows_in(run)


def everything(row: BlockRow, objects: MemoryObjects) -> dict[int, Row]:
    """All rows, read as a query does."""
    source = opened(row, objects)
    request = ScanRequest(
        streams=np.ones(len(source.table), np.bool_), start_ns=0, end_ns=10**9, columns=Columns()
    )
    return merged([rows_in(source.read(part, request)) for part in source.row_groups(request)])


def test_a_flipped_bit_of_format_2_is_found() -> None:
    row, objects, rows = written(Layout(2))
    random = Random(1)
    assert everything(row, objects) == rows
    assert any(name.endswith(LINES) for name in objects.content)
    for key in [k for k in objects.content if not k.endswith(MANIFEST)]:
        good = objects.content[key]
        for _ in range(examples(6)):
            bad = bytearray(good)
            bad[random.randrange(len(good))] ^= 1 << random.randrange(8)
            objects.content[key] = bytes(bad)
            try:
                same = everything(row, objects) == rows  # a byte that nothing depends on
            except DamagedBlockError as error:
                same = key in error.message
            assert same
        objects.content[key] = good


@pytest.mark.parametrize("layout", [Layout(3), Layout(3, packed=True)], ids=["open", "packed"])
def test_a_flipped_bit_of_a_family_is_found(layout: Layout) -> None:
    row, objects, rows = written(layout)
    random = Random(3)
    assert everything(row, objects) == rows
    names = {key.rpartition("/")[2].partition("-")[0] for key in objects.content}
    assert names == ({"index", "data"} if layout.packed else {"index", "family", ROWS, STREAMS})
    for key, good in list(objects.content.items()):
        for _ in range(examples(20)):
            bad = bytearray(good)
            bad[random.randrange(len(good))] ^= 1 << random.randrange(8)
            objects.content[key] = bytes(bad)
            assert [fault.key for fault in block_faults(objects, row, deep=True)] == [key]
            try:
                same = everything(row, objects) == rows  # a byte that nothing depends on
            except DamagedBlockError as error:
                same = key in error.message
            assert same
        objects.content[key] = good[:-1]
        assert [fault.key for fault in block_faults(objects, row, deep=False)] == [key]
        if not key.endswith(STREAMS):
            with pytest.raises(DamagedBlockError, match=key):
                everything(row, objects)
        del objects.content[key]
        assert block_faults(objects, row, deep=False)[0].state is State.ABSENT
        objects.content[key] = good
    assert block_faults(objects, row, deep=True) == []


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_found(layout: Layout, kept: float) -> None:
    row, objects, rows = written(layout)
    for key in [k for k in objects.content if not k.endswith(MANIFEST)]:
        good = objects.content[key]
        objects.content[key] = good[: int(len(good) * kept)]
        if layout.version > 2 and key.endswith(STREAMS):
            assert everything(row, objects) == rows, "the index has a copy"
        else:
            with pytest.raises(DamagedBlockError, match=key):
                everything(row, objects)
        objects.content[key] = good


@pytest.mark.parametrize("layout", [Layout(3), Layout(3, packed=True)], ids=str)
def test_files_of_another_block_are_found(layout: Layout) -> None:
    row, objects, _ = written(layout)
    entries: list[Entry] = [({"app": "a"}, {}, n, b"k=%d" % n) for n in range(100)]
    _, others = stored(merge_batches([batch_of(entries)]), 5, layout=layout)
    for key, good in list(objects.content.items()):
        if not key.endswith(STREAMS):
            objects.content[key] = others.content[key]
            with pytest.raises(DamagedBlockError, match=key):
                everything(row, objects)
            objects.content[key] = good


def test_shapes_of_other_numbers_are_found() -> None:
    row, objects, _ = written(Layout(2))
    shapes = [key for key in objects.content if "shape-" in key]
    first, second = objects.content[shapes[0]], objects.content[shapes[1]]
    objects.content[shapes[0]] = second
    with pytest.raises(DamagedBlockError):
        everything(row, objects)
    objects.content[shapes[0]] = first
    del objects.content[shapes[1]]
    with pytest.raises(AppError):
        everything(row, objects)


def test_a_damaged_manifest_is_found() -> None:
    row, objects, rows = written(Layout(2))
    random = Random(2)
    (key,) = [k for k in objects.content if k.endswith(MANIFEST)]
    good = objects.content[key]
    for _ in range(examples(40)):
        bad = bytearray(good)
        bad[random.randrange(len(good))] ^= 1 << random.randrange(8)
        objects.content[key] = bytes(bad)
        try:
            found = everything(row, objects)
        except AppError:
            continue
        assert found == rows
    objects.content[key] = good.replace(STREAMS.encode(), b"x")
    with pytest.raises(AppError):
        everything(row, objects)


class Failing(MemoryObjects):
    """Objects that lie there whole and cannot be read."""

    def __init__(self, content: dict[str, bytes], number: int, after: int) -> None:
        super().__init__()
        self.content = content
        self._number, self._after, self.opened = number, after, 0

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A file, so many times; then one whose reads fail."""
        self.opened += 1
        if self.opened <= self._after:
            return super().open(key)
        return pa.PythonFile(_Unreadable(len(self.content[key]), self._number), "r")

    def get(self, key: str) -> bytes:
        """What such a file holds, as a far store says that it does not answer."""
        self._answers(key)
        return super().get(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """As `get`."""
        self._answers(key)
        return super().get_ranges(key, ranges)

    def _answers(self, key: str) -> None:
        if self.opened > self._after:
            raise ObjectError(f"object {key} cannot be read: {os.strerror(self._number)}")


class _Unreadable:
    """A file of which no byte can be read."""

    closed = False

    def __init__(self, size: int, number: int) -> None:
        self._size, self._number, self._place = size, number, 0

    def read(self, size: int = -1) -> bytes:
        """As a full table of open files, a broken disk or a network would have it."""
        raise OSError(self._number, os.strerror(self._number))

    def seek(self, place: int, whence: int = 0) -> int:
        """Go somewhere."""
        self._place = place + (0, self._place, self._size)[whence]
        return self._place

    def tell(self) -> int:
        """Where it stands."""
        return self._place

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_an_outage_is_not_told_as_damage(layout: Layout) -> None:
    row, objects, _ = written(layout)
    counting = Failing(objects.content, 0, after=10**6)
    everything(row, counting)
    for after in (*range(3), *range(3, counting.opened, 20)):
        number = (errno.EIO, errno.EMFILE, errno.ECONNRESET)[after % 3]
        with pytest.raises(ObjectError, match="cannot be read") as caught:
            everything(row, Failing(objects.content, number, after))
        assert not isinstance(caught.value, DamagedBlockError)
        assert caught.value.kind is ErrorKind.UNAVAILABLE
