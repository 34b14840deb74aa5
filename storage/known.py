"""Does the catalog know the blocks that lie beside it? Asked before a server starts.

A catalog that is empty, or older than the objects, would hide blocks from every answer, and what is
in the journal would be flushed a second time. Invariant: a server never starts on such a pair.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Protocol

from storage.block.folders import PREFIX, folders
from storage.block.layout import block_prefix, is_commit
from storage.block.manifest import read_manifest
from storage.catalog.base import Catalog, CatalogError, Intent
from storage.objects.base import ObjectError, ObjectStore


class UnknownBlocksError(CatalogError):
    """Whole blocks lie in the object store that the catalog does not know."""


class KnowsBlocks(Protocol):
    """Somebody who can be asked which blocks a catalog names."""

    def known(self, block_ids: Sequence[str]) -> set[str]:
        """Those of the blocks that the catalog names, in whatever step of their life."""
        ...


def unknown_folders(catalog: KnowsBlocks, objects: ObjectStore) -> list[str]:
    """Folders that no row of the catalog names, sorted.

    The catalog is asked after the listing: nothing is put before its row is committed.
    """
    found = folders(objects, PREFIX)
    known = catalog.known([PurePosixPath(folder).name for folder in found])
    return [folder for folder in found if PurePosixPath(folder).name not in known]


def unknown_blocks(catalog: KnowsBlocks, objects: ObjectStore) -> list[str]:
    """Folders with a manifest that no row names, sorted.

    A folder without one is what a crash left of a block; upkeep sets it aside.
    """
    return [
        folder
        for folder in unknown_folders(catalog, objects)
        if any(map(is_commit, objects.list(f"{folder}/")))
    ]


class KnowsIntents(Protocol):
    """Somebody who can be asked which blocks are about to be written."""

    def intents(self) -> Sequence[Intent]:
        """Blocks that are about to be written, or were when a server ended."""
        ...


def forgotten_blocks(
    catalog: KnowsIntents, objects: ObjectStore, journal_id: str, forgotten: int
) -> Iterator[str]:
    """Folders of blocks that were visible once, and of which only the intent is known.

    A block of a flush lies there whole, and the journal has forgotten its records: that is done
    only when it is visible. So the catalog is older than it.
    """
    for intent in catalog.intents():
        folder = block_prefix(intent.tenant, intent.min_ts, intent.block_id)
        try:
            manifest = read_manifest(objects, folder)
        except ObjectError:
            continue  # a crash left a part of it
        position = manifest.journals.get(journal_id)
        if position is not None and position <= forgotten and not manifest.replaces:
            yield folder


def check_blocks_are_known(
    catalog: Catalog, objects: ObjectStore, journal_id: str = "", forgotten: int = 0
) -> None:
    """Raise `UnknownBlocksError` when a folder with a manifest is in no row, or not visible again.

    `forgotten`: the newest record of this journal that may be gone, since it was in a block.
    """
    whole = [
        *forgotten_blocks(catalog, objects, journal_id, forgotten),
        *unknown_blocks(catalog, objects),
    ]
    if not whole:
        return
    state = "is older than they are" if catalog.totals() else "is empty"
    raise UnknownBlocksError(
        f"the catalog does not know {len(whole)} of the stored blocks (one is {whole[-1]}): it "
        f"{state}. Put back the catalog that belongs to them (narfi restore, or your own copy of "
        "catalog.db with catalog.db-wal), or have it made anew from the blocks: "
        "narfi repair --rebuild-catalog; with catalog.url, narfi repair --adopt takes them in, "
        "--rebuild-catalog fills a new, empty database"
    )
