"""How do rows of blocks become a new block? Put together here, or where only names are told.

Whole blocks that become one are data (`MergeSpec`): any process that reaches their objects can
merge them and put the objects of the new one. Nothing is visible before its row is committed, which
is not done here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.block.draft import Draft, Part
from storage.block.format3.writer import write_families
from storage.block.identity import BlockIdentity, Layout
from storage.block.merge import merge_blocks
from storage.block.merge_families import merge_families
from storage.block.merge_rows import Kept
from storage.block.opening import BlockIndex
from storage.block.reader import open_block
from storage.block.writer import write_block
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.objects.base import ObjectStore
from storage.objects.places import objects_at


class LostMergeError(Exception):
    """Whoever merged is gone, or does not answer: it may be putting objects still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSpec:
    """Blocks that become one, and what it will be."""

    blocks: tuple[BlockRow, ...]
    identity: BlockIdentity
    layout: Layout
    min_lines: int  # of a shape


class Rewriting:
    """The rows that go on, in order, before anything is put."""

    def __init__(self, kept: Sequence[Kept], layout: Layout, min_lines: int) -> None:
        self._families = merge_families(kept, min_lines) if layout.version > 2 else None
        self._parts: Iterator[Part] = iter(())
        self.draft: Draft
        if self._families is None:
            self.draft, self._parts = merge_blocks(kept, min_lines)
        else:
            self.draft = self._families.draft

    def write(self, identity: BlockIdentity, objects: ObjectStore) -> BlockRow:
        """Encode and put them; there is at least one. Once."""
        found = self._families
        if found is None:
            return write_block(self.draft, self._parts, identity, objects)
        return write_families(
            self.draft, found.lengths, found.metadata, found.families, identity, objects
        )


def merge_at(place: tuple[str, MergeSpec]) -> BlockRow:
    """Merge blocks of a store, which its URL names; the row still has to be published.

    For a process that knows nothing of the catalog. Raises what opening and putting raise.
    """
    url, spec = place
    return merge(spec, objects_at(url))


def merge(spec: MergeSpec, objects: ObjectStore) -> BlockRow:
    """As `merge_at`."""
    indexes: ByteCache[BlockIndex] = ByteCache(0)
    nothing: ByteCache[object] = ByteCache(0)
    sources = [open_block(row, objects, indexes, nothing) for row in spec.blocks]
    kept = [Kept(source, None) for source in sources]
    return Rewriting(kept, spec.layout, spec.min_lines).write(spec.identity, objects)
