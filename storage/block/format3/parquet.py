"""How are columns of one Parquet file of a block read? With the footer that the index has.

A file is an object of its own, or a part of one (a packed block). Of a far store the pages of all
columns of a read come together. Thread-safe: every read opens the object anew.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I64
from storage.block.footer import DamagedBlockError, reading
from storage.block.format3.fetching import Part, PartsFile, Range, fetch, is_mapped
from storage.objects.base import Readable
from storage.scan import ReadStats


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """Where a file lies, and its footer, which is decoded when somebody asks for it."""

    key: str  # of the object
    name: str
    offset: int  # in the object
    size: int
    object_size: int
    object_sum: int  # CRC-32C of the object
    stored_footer: bytes
    bounds: I64  # first place of each row group, and the end
    bloom_sums: Mapping[str, int]  # checksums of Bloom filters, by offset

    @staticmethod
    def of(
        *,
        key: str,
        name: str,
        place: tuple[int, int],
        footer: bytes,
        object_size: int,
        object_sum: int,
        bloom_sums: Mapping[str, int],
        counts: Sequence[int] | None,
    ) -> "StoredFile":
        """From what the index says; `place` is (offset, size) in the object.

        `counts`: rows of each row group; None where only the footer has them.
        """
        if counts is None:
            counts = row_counts(pq.read_metadata(pa.BufferReader(footer)))
        return StoredFile(
            key=key,
            name=name,
            offset=place[0],
            size=place[1],
            object_size=object_size,
            object_sum=object_sum,
            stored_footer=footer,
            bounds=np.append(0, np.cumsum(counts, dtype=np.int64)),
            bloom_sums=bloom_sums,
        )

    @cached_property
    def footer(self) -> pq.FileMetaData:
        """Raises `DamagedBlockError` for one that is not that of the file."""
        with reading(self.key):
            found = pq.read_metadata(pa.BufferReader(self.stored_footer))
            if row_counts(found) != np.diff(self.bounds).tolist():
                raise ValueError(f"the index tells other row groups of {self.name}")
        return found

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Column number by name."""
        schema = self.footer.schema
        return {schema.column(number).path: number for number in range(len(schema))}

    def read(
        self,
        objects: Readable,
        names: Sequence[str],
        dictionaries: Sequence[str] = (),
        *,
        group: int | None = None,
        stats: ReadStats | None = None,
        parts: Sequence[Part] | None = None,
    ) -> pa.Table:
        """Columns of a row group, or of all; `dictionaries` are read as such.

        `parts`: the pages, where they were fetched already. Raises `DamagedBlockError` for pages
        that are not as they were written.
        """
        ranges = partial(self.ranges, names, group)
        with self._open(objects, dictionaries, ranges, parts) as file:
            if group is None:
                table = file.read(columns=list(names), use_threads=False)
                rows = int(self.bounds[-1])
            else:
                table = file.read_row_group(group, columns=list(names), use_threads=False)
                rows = int(self.bounds[group + 1] - self.bounds[group])
        if stats is not None:
            stats.bytes_read += table.nbytes
        if any(len(column) != rows for column in table.columns):
            raise DamagedBlockError(self.key, f"a column of {self.name} has not {rows} rows")
        return table

    def is_far(self, objects: Readable) -> bool:
        """Whether each read of it is a request."""
        with reading(self.key), objects.open(self.key, self.object_size) as object_:
            return not is_mapped(object_)

    def ranges(self, names: Sequence[str], group: int | None = None) -> list[Range]:
        """Where in the object the pages of columns lie, of a row group or of all."""
        found = []
        for number in range(len(self.bounds) - 1) if group is None else (group,):
            chunks = self.footer.row_group(number)
            for name in names:
                chunk = chunks.column(self.places[name])
                first = chunk.dictionary_page_offset or chunk.data_page_offset
                found.append((self.offset + first, chunk.total_compressed_size))
        return found

    def part(self, objects: Readable, offset: int, size: int) -> bytes:
        """Some bytes of the file."""
        with reading(self.key), objects.open(self.key, self.object_size) as file:
            file.seek(self.offset + offset)
            return bytes(file.read(size))

    def _in(
        self,
        objects: Readable,
        object_: pa.NativeFile,
        ranges: Callable[[], list[Range]],
        parts: Sequence[Part] | None,
    ) -> pa.NativeFile:
        """The file as a file of its own."""
        end = object_.size()
        if end != self.object_size:
            raise ValueError(f"it has {end} bytes, and had {self.object_size} when it was written")
        if is_mapped(object_):
            whole = self.size == self.object_size
            return object_ if whole else window(object_, self.offset, self.size)
        if parts is None:
            parts = fetch(objects, self.key, ranges())
        return pa.PythonFile(PartsFile(parts, self.offset, self.size), mode="r")

    @contextmanager
    def _open(
        self,
        objects: Readable,
        dictionaries: Sequence[str],
        ranges: Callable[[], list[Range]],
        parts: Sequence[Part] | None,
    ) -> Iterator[pq.ParquetFile]:
        with (
            reading(self.key),
            objects.open(self.key, self.object_size) as object_,
            pq.ParquetFile(
                self._in(objects, object_, ranges, parts),
                metadata=self.footer,
                read_dictionary=list(dictionaries),
                pre_buffer=False,
                page_checksum_verification=True,
            ) as file,
        ):
            yield file


def row_counts(footer: pq.FileMetaData) -> list[int]:
    """Rows of each row group."""
    return [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]


def read_together(
    objects: Readable, wanted: Sequence[tuple[StoredFile, Sequence[str]]]
) -> list[pa.Table]:
    """Columns of several files; what lies in one object of a far store is fetched with one call."""
    ranges: dict[str, list[Range]] = {}
    for file, names in wanted:
        ranges.setdefault(file.key, []).extend(file.ranges(names))
    parts: dict[str, list[Part]] = {}
    for file, _ in wanted:
        is_part = file.size < file.object_size
        if is_part and file.key not in parts and file.is_far(objects):
            parts[file.key] = fetch(objects, file.key, ranges[file.key])
    return [file.read(objects, names, parts=parts.get(file.key)) for file, names in wanted]


def window(file: pa.NativeFile, offset: int, size: int) -> pa.NativeFile:
    """A part of a mapped object as a file, without a copy."""
    file.seek(offset)
    return pa.BufferReader(file.read_buffer(size))


def single(chunked: pa.ChunkedArray) -> pa.Array:
    """The column as one array."""
    combined = chunked.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
