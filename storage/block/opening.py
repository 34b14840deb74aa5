"""What is read of a block when it is opened? Manifest, stream table and footers, once.

Whoever holds a `BlockIndex` needs no object to know the streams, files and templates of a block.
"""

from dataclasses import dataclass

import google_crc32c

from storage.batch import StreamTable
from storage.block.files import FileChecks, FileIndex, index_file
from storage.block.footer import DamagedBlockError, reading
from storage.block.layout import FORMAT_VERSION, LINES, MANIFEST, STREAMS, block_prefix
from storage.block.manifest import Manifest, read_manifest
from storage.block.streams import decode_streams
from storage.catalog.base import BlockRow
from storage.objects.base import ObjectError, ObjectStore

FOOTER_FACTOR = 3
"""Memory of a decoded footer, in its stored size."""
FILE_BYTES = 2_000
"""Memory of what else is known of a file, about."""


@dataclass(frozen=True, slots=True)
class BlockIndex:
    """What is known of a block without reading its columns."""

    table: StreamTable
    files: tuple[FileIndex, ...]

    @property
    def nbytes(self) -> int:
        """Memory, about."""
        footers = sum(int(file.footer.serialized_size) for file in self.files) * FOOTER_FACTOR
        return self.table.nbytes + footers + FILE_BYTES * len(self.files)


def read_index(row: BlockRow, objects: ObjectStore) -> BlockIndex:
    """Raises `DamagedBlockError`, and `ObjectError` for a format of a newer version."""
    if row.format_version > FORMAT_VERSION:
        message = (
            f"block {row.block_id} has format {row.format_version}; this version reads up to "
            f"{FORMAT_VERSION}"
        )
        raise ObjectError(message)
    prefix = block_prefix(row.tenant, row.min_ts, row.block_id)
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
        return BlockIndex(decode_streams(streams), files)


def _manifest(row: BlockRow, objects: ObjectStore, prefix: str) -> Manifest:
    """What it says, when it is that of this very block."""
    found = read_manifest(objects, prefix)
    if found.row != row:
        raise DamagedBlockError(f"{prefix}/{MANIFEST}", "it does not agree with the catalog's row")
    if found.lacks_checks:
        raise DamagedBlockError(f"{prefix}/{MANIFEST}", "it lacks objects or checksums")
    return found
