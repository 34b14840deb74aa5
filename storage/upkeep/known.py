"""Does the catalog know the blocks that lie beside it? Asked before a server starts.

A catalog that is empty, or older than the objects, would hide blocks from every answer, and what is
in the journal would be flushed a second time. Invariant: a server never starts on such a pair.
"""

from storage.block.layout import MANIFEST
from storage.catalog.base import Catalog, CatalogError
from storage.objects.base import ObjectStore
from storage.upkeep.garbage import KnowsBlocks, unknown_folders


class UnknownBlocksError(CatalogError):
    """Whole blocks lie in the object store that the catalog does not know."""


def unknown_blocks(catalog: KnowsBlocks, objects: ObjectStore) -> list[str]:
    """Folders with a manifest that no row names, sorted.

    A folder without one is what a crash left of a block; upkeep sets it aside.
    """
    return [
        folder
        for folder in unknown_folders(catalog, objects)
        if any(objects.list(f"{folder}/{MANIFEST}"))
    ]


def check_blocks_are_known(catalog: Catalog, objects: ObjectStore) -> None:
    """Raise `UnknownBlocksError` when a folder with a manifest is in no row."""
    whole = unknown_blocks(catalog, objects)
    if not whole:
        return
    state = "is older than they are" if catalog.totals() else "is empty"
    raise UnknownBlocksError(
        f"the catalog does not know {len(whole)} of the stored blocks (one is {whole[-1]}): it "
        f"{state}. Put back the catalog that belongs to them (narfi restore, or your own copy of "
        "catalog.db with catalog.db-wal), or have it made anew from the blocks: "
        "narfi repair --rebuild-catalog"
    )
