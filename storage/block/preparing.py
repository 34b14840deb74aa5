"""What would the first queries of a block have to decode? All of it, a little at a time.

Order and times of the rows, shapes, columns, plain lines, metadata and the filters of what is
searched again: everything that queries remember of a block whatever they look for, and nothing of
one question. Of blocks of formats 1 and 2 only the order is.
"""

import itertools
from collections.abc import Iterator

from storage.block.format3.access import Access
from storage.block.format3.opening import OpenFamily
from storage.block.format3.reading import READ_AHEAD, FamilyReader
from storage.block.format3.rows_reading import read_metadata
from storage.block.reader import BlockSource
from storage.scan import Columns


def preparation(source: BlockSource) -> Iterator[None]:
    """Read it into the caches of the source, some milliseconds of work between two values.

    Raises `DamagedBlockError` and `ObjectError` as reads do.
    """
    source.order()
    yield
    families, access = source.index.families, source.access()
    if families is None:
        return
    for family in families.families:
        yield from _shapes(family)
        for group in range(len(family.bounds) - 1):
            yield from _columns(family, group, access)
        source.rows_and_times_of(family.number)
        yield
    for first, end in itertools.pairwise(families.rows.bounds.tolist()):
        read_metadata(families, slice(first, end), Columns(lines=False), access)
        yield
    source.line_sums(load=True)
    yield


def _shapes(family: OpenFamily) -> Iterator[None]:
    """What is known of the shapes and where columns are."""
    assert family.shapes.stamps is not None
    yield
    assert family.file.places
    yield


def _columns(family: OpenFamily, group: int, access: Access) -> Iterator[None]:
    """The columns and plain lines of a row group."""
    reader, numbers = FamilyReader(family, access), range(len(family.stored.columns))
    for first in range(0, len(numbers), READ_AHEAD):
        some = numbers[first : first + READ_AHEAD]
        reader.fetch(group, some)
        for number in some:
            reader.column(group, number)
        yield
    reader.make_filters(group)
    yield
