"""Where are the columns of a block of format 3 read, and what is remembered of them?"""

from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass

from storage.cache import ByteCache
from storage.objects.base import Readable
from storage.scan import ReadStats

Kept = MutableMapping[object, object]
"""What the readers of one call share when the cache takes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where a block is read from."""

    block_id: str
    objects: Readable
    cache: ByteCache[object]
    stats: ReadStats
    own: Kept | None = None

    def remembered(
        self, key: tuple[object, ...], load: Callable[[], tuple[object, int]], *, keep: bool
    ) -> object:
        """What `load` gives with its size in bytes, from the cache where it is there."""
        full = (self.block_id, *key)
        known = self.cache.get(full)
        if known is None and self.own is not None:
            known = self.own.get(full)
        if known is None:
            known, size = load()
            kept = keep and self.cache.put(full, known, size)
            if not kept and self.own is not None:
                self.own[full] = known
        return known

    def remembers(self, key: tuple[object, ...]) -> bool:
        """Whether nothing would have to be loaded."""
        full = (self.block_id, *key)
        return full in self.cache or (self.own is not None and full in self.own)

    def remembers_all(self, keys: Iterable[tuple[object, ...]]) -> bool:
        """Whether the cache has what is remembered under each of the keys."""
        return not self.cache.lacking((self.block_id, *key) for key in keys)
