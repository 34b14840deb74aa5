"""What is read of a block when it is opened? Manifest, stream table and footers, once.

Whoever holds a `BlockIndex` needs no object to know the streams, files and templates of a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np

from narfi.core.columns import I64
from storage.batch import StreamTable
from storage.block.files import FileChecks, FileIndex, index_file
from storage.block.footer import DamagedBlockError, reading
from storage.block.format3.index_object import decode_index
from storage.block.format3.opening import Families, OpenFamily, Section, open_families
from storage.block.layout import INDEX, LINES, MANIFEST, NEWEST_VERSION, STREAMS, block_prefix
from storage.block.manifest import Manifest, manifest_in, read_manifest
from storage.block.streams import decode_streams
from storage.catalog.base import BlockRow
from storage.objects.base import ObjectError, ObjectStore
from storage.scan import Pieces

FOOTER_FACTOR = 3
"""Memory of a decoded footer, in its stored size."""
FILE_BYTES = 2_000
"""Memory of what else is known of a file, about."""


@dataclass(frozen=True, slots=True)
class Units:
    """The row groups of all files: what is read at once, numbered from 0."""

    file: I64
    group: I64  # of the file
    bounds: I64  # first place through all files, and the end
    firsts: I64  # first place of each file, and the end

    @staticmethod
    def of(files: Sequence[FileIndex | OpenFamily]) -> "Units":
        """Of all files, in their order."""
        counts = np.array([len(file.bounds) - 1 for file in files], np.int64)
        sizes = [np.diff(file.bounds) for file in files]
        rows = np.array([int(file.bounds[-1]) for file in files], np.int64)
        return Units(
            np.repeat(np.arange(len(files)), counts),
            np.concatenate([np.arange(count) for count in counts.tolist()] or [counts]),
            np.append(0, np.cumsum(np.concatenate(sizes or [counts]))),
            np.append(0, np.cumsum(rows)),
        )

    def hit(self, pieces: Pieces) -> tuple[I64, I64, Pieces]:
        """(units that pieces touch, first piece of each and the end, the pieces cut at units)."""
        first = np.searchsorted(self.bounds, pieces.low, side="right") - 1
        last = np.searchsorted(self.bounds, pieces.high - 1, side="right") - 1
        counts = last - first + 1
        whole = np.repeat(np.arange(len(first)), counts)
        unit = np.arange(len(whole)) - np.repeat(np.cumsum(counts) - counts - first, counts)
        found = Pieces(
            pieces.ordinal[whole],
            np.maximum(pieces.low[whole], self.bounds[unit]),
            np.minimum(pieces.high[whole], self.bounds[unit + 1]),
        )
        order = np.argsort(unit, kind="stable")
        found = Pieces(found.ordinal[order], found.low[order], found.high[order])
        touched, starts = np.unique(unit[order], return_index=True)
        return touched, np.append(starts, len(unit)), found


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockIndex:
    """What is known of a block without reading its columns.

    Its sections are the files of formats 1 and 2, and the shapes and plain lines of families; its
    files have the rows in the same order.
    """

    table: StreamTable
    files: tuple[FileIndex | OpenFamily, ...]
    sections: tuple[FileIndex | Section, ...]
    units: Units
    nbytes: int  # of memory, about
    families: Families | None = None  # None in formats 1 and 2


def read_index(row: BlockRow, objects: ObjectStore) -> BlockIndex:
    """Raises `DamagedBlockError`, and `ObjectError` for a format of a newer version."""
    if row.format_version > NEWEST_VERSION:
        message = (
            f"block {row.block_id} has format {row.format_version}; this version reads up to "
            f"{NEWEST_VERSION}"
        )
        raise ObjectError(message)
    prefix = block_prefix(row.tenant, row.min_ts, row.block_id)
    if row.format_version > 2:
        return _read_families(row, objects, prefix)
    streams = objects.get(f"{prefix}/{STREAMS}")
    names, checks = [LINES], {}
    if row.format_version > 1:
        manifest = _manifest(row, objects, prefix)
        names = [name for name in manifest.objects if name != STREAMS]
        checks = {
            name: FileChecks(manifest.footer_crc32c[name], manifest.bloom_crc32c.get(name, {}))
            for name in names
        }
        if google_crc32c.value(streams) != manifest.crc32c[STREAMS]:
            raise DamagedBlockError(f"{prefix}/{STREAMS}", "its checksum is wrong")
    mean = row.line_bytes / max(row.rows, 1)
    files = tuple(
        index_file(objects, f"{prefix}/{name}", number, mean, checks.get(name, FileChecks()))
        for number, name in enumerate(names)
    )
    with reading(f"{prefix}/{STREAMS}"):  # format 1 has no checksum of it
        table = decode_streams(streams)
    footers = sum(int(file.footer.serialized_size) for file in files) * FOOTER_FACTOR
    size = table.nbytes + footers + FILE_BYTES * len(files)
    return BlockIndex(table=table, files=files, sections=files, units=Units.of(files), nbytes=size)


def _read_families(row: BlockRow, objects: ObjectStore, prefix: str) -> BlockIndex:
    key = f"{prefix}/{INDEX}"
    data = objects.get(key)
    head, blobs = decode_index(key, data)
    _check(row, manifest_in(key, head, len(data)), key)
    found = open_families(prefix, key, head, blobs)
    return BlockIndex(
        table=found.table,
        files=found.families,
        sections=found.sections,
        units=Units.of(found.families),
        nbytes=found.nbytes,
        families=found,
    )


def _manifest(row: BlockRow, objects: ObjectStore, prefix: str) -> Manifest:
    """What it says, when it is that of this very block."""
    found = read_manifest(objects, prefix)
    _check(row, found, f"{prefix}/{MANIFEST}")
    return found


def _check(row: BlockRow, found: Manifest, key: str) -> None:
    """Whether it is that of this very block, and says all that it must."""
    if found.row != row:
        raise DamagedBlockError(key, "it does not agree with the catalog's row")
    if found.lacks_checks:
        raise DamagedBlockError(key, "it lacks objects or checksums")
