"""What is remembered of what was read? Decoded things by key, bounded in bytes, oldest out."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class ByteCache(Generic[T]):
    """A least-recently-used cache bounded by the bytes of its values; thread-safe.

    Two threads that miss at once both load; values are immutable, so either may stay. Memory that
    others need more is theirs: `room` tells what they leave, and `give_way` makes some.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._items: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.room: Callable[[], int | None] = lambda: None
        """Bytes that it may hold at this moment, None for no other bound than its own."""
        self.hits = 0
        self.misses = 0

    def get(self, key: Hashable) -> T | None:
        """The value, made the most recent; None when unknown."""
        with self._lock:
            found = self._items.get(key)
            if found is None:
                self.misses += 1
                return None
            self._items.move_to_end(key)
            self.hits += 1
            return found[0]

    def __contains__(self, key: Hashable) -> bool:
        """Whether there is a value; counted as no use of it."""
        with self._lock:
            return key in self._items

    def lacking(self, keys: Iterable[Hashable]) -> list[Hashable]:
        """Those of the keys that have no value; counted as no use of the others."""
        with self._lock:
            return [key for key in keys if key not in self._items]

    def takes(self, size: int) -> bool:
        """Whether it would remember a value of so many bytes now."""
        return size <= self._most()

    def _most(self) -> int:
        """Bytes that it may hold at this moment."""
        room = self.room()
        return self._max_bytes if room is None else min(self._max_bytes, room)

    def put(self, key: Hashable, value: T, size: int) -> bool:
        """Remember a value; false when it alone is larger than the whole cache may be now."""
        most = self._most()
        if size > most:
            return False
        with self._lock:
            old = self._items.pop(key, None)
            self._bytes += size - (old[1] if old else 0)
            self._items[key] = (value, size)
            self._shrink_to(most)
        return True

    def give_way(self, size: int) -> None:
        """Forget the oldest values, so many bytes of them, or all."""
        with self._lock:
            self._shrink_to(max(0, self._bytes - size))

    def _shrink_to(self, most: int) -> None:
        while self._bytes > most:
            _, (_, freed) = self._items.popitem(last=False)
            self._bytes -= freed

    def get_or_load(self, key: Hashable, load: Callable[[], tuple[T, int]]) -> T:
        """The value, loaded as (value, bytes) when unknown."""
        found = self.get(key)
        if found is not None:
            return found
        value, size = load()
        self.put(key, value, size)
        return value

    def is_full_to(self, share: float) -> bool:
        """Whether it holds such a share of what it may at this moment."""
        return self._bytes >= share * self._most()

    @property
    def bytes(self) -> int:
        """Bytes held."""
        return self._bytes
