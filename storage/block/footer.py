"""Is a file of a block whole? Footers are checked against the manifest, pages by checksums.

Invariant: a damaged file gives a `DamagedBlockError`, never other rows.
"""

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq

from storage.objects.base import ObjectError, ObjectStore

MAGIC = b"PAR1"
TAIL_BYTES = 1 << 16
"""Read at first; nearly every footer is smaller."""


class DamagedBlockError(ObjectError):
    """A stored file is not what was written."""

    def __init__(self, key: str, reason: object) -> None:
        super().__init__(
            f"{key} is damaged ({reason}): restore the block from a copy or delete its folder"
        )


def footer_of(content: bytes) -> bytes:
    """The footer of a Parquet file, with its length and mark; `content` may be the file's tail."""
    size = int.from_bytes(content[-8:-4], "little") + 8
    if content[-4:] != MAGIC or not 8 < size <= len(content):
        raise ValueError("no Parquet footer")
    return content[-size:]


def read_footer(objects: ObjectStore, key: str, checksum: int | None) -> pq.FileMetaData:
    """The decoded footer; `checksum` is the manifest's, None in blocks that have none."""
    with objects.open(key) as file:
        size = file.size()
        file.seek(max(size - TAIL_BYTES, 0))
        tail = file.read(TAIL_BYTES)
        wanted = int.from_bytes(tail[-8:-4], "little") + 8
        if len(tail) < wanted <= size:
            file.seek(size - wanted)
            tail = file.read(wanted)
    try:
        footer = footer_of(tail)
        if checksum is not None and google_crc32c.value(footer) != checksum:
            raise ValueError("its footer's checksum is wrong")
        return pq.read_metadata(pa.BufferReader(footer))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DamagedBlockError(key, error) from error
