"""Where do catalog and blocks of a server lie? In its data folder, or where two settings say."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from narfi.core.clock import Clock
from narfi.core.setting_types import min_free_bytes
from narfi.core.settings import Settings
from narfi.server.reach import Part, Reach
from storage.catalog.only_server import OnlyServer
from storage.catalog.sql import SqlCatalog
from storage.objects.base import ObjectMissingError, ObjectStore, SharedObjects
from storage.objects.cached import CachedObjects
from storage.objects.disk_cache import DiskCache
from storage.objects.filesystem import LocalObjects
from storage.objects.places import shown
from storage.objects.probe import PREFIX, check_store
from storage.vault.data_dir import CACHE, DataDir
from upkeep.disk import DiskSpace

NOTHING_THERE = f"{PREFIX}/nothing"
"""The key of an object that never is: asking for it tells whether the store answers."""


def open_data_dir(settings: Settings) -> DataDir:
    """The data folder, made when it is not there; one that a restore did not finish is refused."""
    data = DataDir(settings.data_dir, settings.storage.url, settings.catalog.url)
    data.check_is_whole()
    data.root.mkdir(parents=True, exist_ok=True)
    return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Catalog and objects, the lock that says who else may serve them, and who watches.

    `hasty`: the same objects, for one who has little time for a request and tries again himself.
    """

    catalog: SqlCatalog
    objects: SharedObjects
    hasty: SharedObjects
    only: OnlyServer
    reach: Reach

    def close(self) -> None:
        """Give back the lock and connections."""
        self.only.close()
        self.catalog.close()


def open_places(data: DataDir, clock: Clock, *, shared: bool = False) -> Places:
    """Open both, for one who holds the journal, or shares them; raises `AppError`."""
    catalog = SqlCatalog(data.catalog_url or f"sqlite:///{data.catalog.absolute()}", clock)
    only = OnlyServer(catalog.database, shared=shared)
    objects = _objects(data, shared=shared)
    reach = _reach(data, catalog, objects, only, clock)
    return Places(
        catalog=catalog, objects=objects, hasty=data.hasty_objects(), only=only, reach=reach
    )


def _objects(data: DataDir, *, shared: bool) -> SharedObjects:
    """The objects: in a folder without what was half written, when nobody else writes to it.

    A far store is tried out; raises `UnfitStoreError`, `ObjectError`.
    """
    objects = data.objects()
    if isinstance(objects, LocalObjects):
        if not shared:
            objects.discard_unfinished()
    else:
        check_store(objects, shown(data.storage_url))
    return objects


def _reach(
    data: DataDir, catalog: SqlCatalog, objects: SharedObjects, only: OnlyServer, clock: Clock
) -> Reach:
    """Watches what is far; nothing where all is in the data folder."""

    def look_at_catalog() -> None:
        only.hold()
        catalog.version()

    def look_at_objects() -> None:
        try:
            objects.size(NOTHING_THERE)
        except ObjectMissingError:
            return

    parts: list[Part] = []
    if data.catalog_url:
        parts.append(Part("catalog", look_at_catalog))
    if data.is_far:
        parts.append(Part("objects", look_at_objects))
    return Reach(parts, clock)


def cached_objects(settings: Settings, data: DataDir, objects: ObjectStore) -> CachedObjects | None:
    """The objects as queries read them, where a disk shall keep pieces of far ones."""
    size = settings.querier.disk_cache_bytes
    if not size or not data.is_far:
        return None
    return CachedObjects(objects, DiskCache(data.root / CACHE, size))


def space_of(settings: Settings) -> DiskSpace:
    """Of the disk on which the data folder lies."""
    found = shutil.disk_usage(settings.data_dir)
    return DiskSpace(found.total, found.free)


def min_free_of(settings: Settings, data: DataDir) -> Callable[[int], int]:
    """Bytes of a disk to those that shall be free; 0 where blocks are far: none would free any."""
    if data.is_far:
        return lambda _: 0
    return lambda disk_bytes: min_free_bytes(settings.compactor.min_free_disk, disk_bytes)
