"""How are columns of one Parquet file of a block read? With the footer that the index has.

A file is an object of its own, or a part of one (a packed block). Thread-safe: every read opens the
object anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I64
from storage.block.footer import DamagedBlockError, reading
from storage.objects.base import ObjectStore
from storage.scan import ReadStats


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """Where a file lies, and its footer, which is decoded when somebody asks for it."""

    key: str  # of the object
    name: str
    offset: int  # in the object
    size: int
    object_size: int
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
        objects: ObjectStore,
        names: Sequence[str],
        dictionaries: Sequence[str] = (),
        *,
        group: int | None = None,
        stats: ReadStats | None = None,
    ) -> pa.Table:
        """Columns of a row group, or of all; `dictionaries` are read as such.

        Raises `DamagedBlockError` for pages that are not as they were written.
        """
        with self._open(objects, dictionaries) as file:
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

    def part(self, objects: ObjectStore, offset: int, size: int) -> bytes:
        """Some bytes of the file."""
        with reading(self.key), objects.open(self.key) as file:
            file.seek(self.offset + offset)
            return bytes(file.read(size))

    def _in(self, object_: pa.NativeFile) -> pa.NativeFile:
        end = object_.size()
        if end != self.object_size:
            raise ValueError(f"it has {end} bytes, and had {self.object_size} when it was written")
        whole = self.size == self.object_size
        return object_ if whole else window(object_, self.offset, self.size)

    @contextmanager
    def _open(self, objects: ObjectStore, dictionaries: Sequence[str]) -> Iterator[pq.ParquetFile]:
        with (
            reading(self.key),
            objects.open(self.key) as object_,
            pq.ParquetFile(
                self._in(object_),
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


def window(file: pa.NativeFile, offset: int, size: int) -> pa.NativeFile:
    """A part of an object as a file: of a mapped one without a copy, else read when needed."""
    if isinstance(file, pa.MemoryMappedFile | pa.BufferReader):
        file.seek(offset)
        return pa.BufferReader(file.read_buffer(size))
    return pa.PythonFile(_Window(file, offset, size), mode="r")


class _Window:
    """Part of a file with places of its own."""

    closed = False

    def __init__(self, file: pa.NativeFile, offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._at
        self._file.seek(self._offset + self._at)
        data = bytes(self._file.read(left if size < 0 else min(size, left)))
        self._at += len(data)
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        self._at = place + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self.closed = True


def single(chunked: pa.ChunkedArray) -> pa.Array:
    """The column as one array."""
    combined = chunked.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
