"""How does a draft become a block of format 3? Its files, then the index, which makes it a block.

Packed, the files lie end to end in one object: two puts in all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I32
from storage.block.draft import Draft
from storage.block.family import Family
from storage.block.footer import bloom_checksums, footer_of
from storage.block.format3.family_file import encode_family
from storage.block.format3.index_object import encode_index
from storage.block.format3.opening import BLOOMS, FAMILIES, FILES, FOOTER, GROUPS
from storage.block.format3.parquet import row_counts
from storage.block.format3.rows_file import encode_rows
from storage.block.format3.stored import family_to_json
from storage.block.identity import BlockIdentity
from storage.block.layout import DATA, FAMILY, INDEX, ROWS, STREAMS, block_prefix
from storage.block.streams import encode_streams
from storage.catalog.base import BlockRow
from storage.metadata import Metadata
from storage.objects.base import ObjectStore

FLUSH_LEVEL = 1
MERGE_LEVEL = 6
"""Of zstd: 3 is 2 % smaller than 1 for a thirtieth of a flush, 6 costs CPU once a block's life. (9
takes as much again, for 0.7 % fewer bytes of real logs and none of synthetic ones.)"""


@dataclass(slots=True, kw_only=True)
class _Files:
    """What was put so far."""

    objects: ObjectStore
    prefix: str
    packed: bool
    sizes: dict[str, int] = field(default_factory=dict)  # by object
    sums: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[object]] = field(default_factory=dict)  # by file
    blobs: list[tuple[str, bytes]] = field(default_factory=list)
    blooms: dict[str, dict[str, int]] = field(default_factory=dict)
    groups: dict[str, list[int]] = field(default_factory=dict)  # rows of each row group, by file
    pending: list[bytes] = field(default_factory=list)
    offset: int = 0

    def add(self, name: str, content: bytes) -> None:
        """Put a file, or keep it for the one object."""
        if self.packed:
            self.places[name] = [DATA, self.offset, len(content)]
            self.pending.append(content)
            self.offset += len(content)
        else:
            self.places[name] = [name, 0, len(content)]
            self._put(name, content)
        if name != STREAMS:
            stored = footer_of(content)
            footer = pq.read_metadata(pa.BufferReader(stored))
            self.blobs.append((FOOTER + name, stored))
            self.groups[name] = row_counts(footer)
            found = bloom_checksums(content, footer)
            if found:
                self.blooms[name] = found

    def end(self) -> None:
        """Put the one object of a packed block."""
        if self.packed:
            self._put(DATA, b"".join(self.pending))

    def _put(self, name: str, content: bytes) -> None:
        self.objects.put(f"{self.prefix}/{name}", content, settled=False)
        self.sizes[name], self.sums[name] = len(content), google_crc32c.value(content)


def write_families(
    draft: Draft,
    lengths: I32,
    metadata: Metadata,
    families: Iterable[Family],
    identity: BlockIdentity,
    objects: ObjectStore,
    *,
    packed: bool = False,
) -> BlockRow:
    """Encode and put a block; the row still has to be published. There is at least one row.

    `lengths` are those of the lines of all rows, in order as `metadata`; those of a family must be
    there when it comes.
    """
    assert len(draft), "a block without rows is not needed"
    level = MERGE_LEVEL if identity.level else FLUSH_LEVEL
    prefix = block_prefix(identity.tenant, int(draft.ts.min()), identity.block_id)
    files = _Files(objects=objects, prefix=prefix, packed=packed)
    described = []
    rows = 0
    for number, family in enumerate(families):
        content, stored = encode_family(family, lengths, level)
        name = FAMILY.format(name=number)
        files.add(name, _bytes(content))
        described.append({"file": name, **family_to_json(stored)})
        rows += stored.rows
    assert rows == len(draft), "every row is in one family"
    pack = bool(identity.level)
    rows_file = encode_rows(draft.stream, draft.ts, metadata, level, pack_times=pack)
    files.add(ROWS, _bytes(rows_file))
    line_bytes = np.bincount(draft.stream, lengths, len(draft.labels)).astype(np.int64)
    streams = encode_streams(draft.table(line_bytes))
    files.add(STREAMS, streams)
    files.end()
    row = identity.row(draft, int(line_bytes.sum()), sum(files.sizes.values()), version=3)
    head = {
        **identity.manifest(row, len(draft.labels), files.sizes),
        "crc32c": files.sums,
        FILES: files.places,
        BLOOMS: files.blooms,
        GROUPS: files.groups,
        FAMILIES: described,
    }
    index = encode_index(head, [(STREAMS, streams), *files.blobs])
    objects.put(f"{prefix}/{INDEX}", index)  # settles the whole folder
    return replace(row, stored_bytes=row.stored_bytes + len(index))


def _bytes(buffer: pa.Buffer) -> bytes:
    found: bytes = buffer.to_pybytes()
    return found
