"""Is a file of a block whole? Footers and Bloom filters are checked against the manifest.

Pages have checksums of their own. Invariant: a damaged file gives a `DamagedBlockError`, never
other rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq

from storage.objects.base import BadObjectError, ObjectError, ObjectStore

MAGIC = b"PAR1"
TAIL_BYTES = 1 << 16
"""Read at first; nearly every footer is smaller."""


class DamagedBlockError(BadObjectError):
    """A stored file is not what was written."""

    def text(self) -> str:
        """What the client reads."""
        return (
            f"{self.key} is damaged ({self.reason}): narfi verify tells more, narfi restore "
            "--block puts it back from a backup"
        )


@contextmanager
def reading(key: str) -> Iterator[None]:
    """Tell what goes wrong while a file is read: an outage of the storage is no damage.

    The system's own errors (EIO, EMFILE, of a network) have a number; a decoder's have none.
    """
    try:
        yield
    except MemoryError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ObjectError(f"object {key} cannot be read: {error}") from error
        raise DamagedBlockError(key, error) from error


def footer_of(content: bytes) -> bytes:
    """The footer of a Parquet file, with its length and mark; `content` may be the file's tail."""
    size = int.from_bytes(content[-8:-4], "little") + 8
    if content[-4:] != MAGIC or not 8 < size <= len(content):
        raise ValueError("no Parquet footer")
    return content[-size:]


def bloom_checksums(content: bytes, footer: pq.FileMetaData | None = None) -> dict[str, int]:
    """The checksum of each Bloom filter of a Parquet file, by its offset (as text, for JSON).

    `footer`: the file's, where it is decoded already.
    """
    if footer is None:
        footer = pq.read_metadata(pa.BufferReader(footer_of(content)))
    found: dict[str, int] = {}
    for group in range(footer.num_row_groups):
        for place in range(footer.num_columns):
            chunk = footer.row_group(group).column(place)
            first, size = chunk.bloom_filter_offset, chunk.bloom_filter_length
            if first is not None and size:
                found[str(first)] = google_crc32c.value(content[first : first + size])
    return found


def read_footer(objects: ObjectStore, key: str, checksum: int | None) -> pq.FileMetaData:
    """The decoded footer; `checksum` is the manifest's, None in blocks that have none."""
    with reading(key), objects.open(key) as file:
        size = file.size()
        file.seek(max(size - TAIL_BYTES, 0))
        tail = file.read(TAIL_BYTES)
        wanted = int.from_bytes(tail[-8:-4], "little") + 8
        if len(tail) < wanted <= size:
            file.seek(size - wanted)
            tail = file.read(wanted)
        footer = footer_of(tail)
        if checksum is not None and google_crc32c.value(footer) != checksum:
            raise ValueError("its footer's checksum is wrong")
        return pq.read_metadata(pa.BufferReader(footer))
