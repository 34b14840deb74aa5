"""How do equal processes of a machine share a disk cache? Whoever has its lock owns it.

The others are its guests (`guest_cache.py`); when the owner ends, however it does, the system frees
the lock, and one of them goes on with what is there. Stores have folders of their own.
Invariant: as for the owner, no fault of the disk is an error of a read.
"""

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from storage.objects.disk_cache import DiskCache
from storage.objects.guest_cache import GuestCache

LOCK, PIECES = "owner", "pieces"
GIVEN_SHARE = 4
"""Part of the cache that may wait for the owner to take it in."""
TRY_S = 5.0
"""Between two tries to become the owner."""


class SharedCache:
    """Pieces by name, at most so many bytes of a store on a machine; thread-safe."""

    def __init__(
        self,
        folder: Path,
        store: str,
        max_bytes: int,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`store`: where the objects are, as everybody who shares them names it."""
        self._folder = folder / hashlib.blake2b(store.encode(), digest_size=16).hexdigest()
        self._max_bytes, self._now = max_bytes, now
        self._guest = GuestCache(self._folder / PIECES, max_bytes // GIVEN_SHARE)
        self._owner: DiskCache | None = None
        self._held: int | None = None  # the descriptor that has the lock
        self._lock = threading.Lock()
        self._tried_s = -TRY_S

    @property
    def is_owner(self) -> bool:
        """Whether it bounds what all keep."""
        return self._owner is not None

    def get(self, name: str) -> bytes | None:
        """The piece; None when it is not there, or not whole."""
        return self._mine().get(name)

    def put(self, name: str, data: bytes) -> None:
        """Keep a piece, if the disk lets us."""
        self._mine().put(name, data)

    def _mine(self) -> DiskCache | GuestCache:
        if self._owner is None:
            with self._lock:
                if self._owner is None and self._now() >= self._tried_s + TRY_S:
                    self._tried_s = self._now()
                    self._try()
        return self._owner or self._guest

    def _try(self) -> None:
        """Become the owner, if there is none."""
        try:
            (self._folder / PIECES).mkdir(mode=0o700, parents=True, exist_ok=True)
            held = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(held)
            return
        self._held = held
        self._owner = DiskCache(self._folder / PIECES, self._max_bytes)

    def close(self) -> None:
        """Let another one own it."""
        with self._lock:
            if self._held is not None:
                os.close(self._held)
            self._held = self._owner = None
