"""Which blocks may somebody be reading? Their objects stay until nobody does.

A reader says that it is about to ask the catalog, asks, and names the blocks that it got before it
takes that back (`Reader.blocks`). Who deletes comes with blocks whose removal is committed
(`Pins.unread`): nobody who asks the catalog from then on gets them, those who are just asking it
are waited for, and what a reader has named stays.
Invariant: no object of a block that a reader got from the catalog is deleted before its `with`
ends; but one who rewrites blocks gives way to a full disk: they go under it, and since their
removal is committed, its result would be refused anyway.
Pins are of one process: readers of other processes have only the grace period.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from narfi.core.threads import SYSTEM_THREADS, Threads
from storage.catalog.base import BlockRow

ASKING_S = 1.0
"""How long a deletion waits for readers that are asking the catalog; it takes them milliseconds."""


class Named(Protocol):
    """A block in whatever step of its life."""

    @property
    def block_id(self) -> str:
        """Its id."""
        ...


N = TypeVar("N", bound=Named)


class Reader:
    """What one reader holds, from `Pins.reading`; used by any thread until that ends."""

    def __init__(self, pins: "Pins", *, gives_way: bool) -> None:
        self._pins, self.gives_way = pins, gives_way
        self.began_s = time.monotonic()
        self.held: set[str] = set()  # under the lock of the pins

    def blocks(self, ask: Callable[[], Sequence[BlockRow]]) -> Sequence[BlockRow]:
        """What `ask` reads from the catalog; the objects stay until the reader is done."""
        return self._pins.pinned(self, ask)


class Pins:
    """The readers of a process and what they hold; thread-safe, one lock."""

    def __init__(self, threads: Threads = SYSTEM_THREADS) -> None:
        self._changed = threads.condition()
        self._readers: set[Reader] = set()
        self._asked = 0  # so many readers began to ask the catalog
        self._asking: set[int] = set()  # those that still do, by number

    @contextlib.contextmanager
    def reading(self, *, gives_way: bool = False) -> Iterator[Reader]:
        """A reader; what it got stays until the `with` ends.

        `gives_way`: unless a full disk needs the room (`unread` with `in_need`).
        """
        reader = Reader(self, gives_way=gives_way)
        with self._changed:
            self._readers.add(reader)
        try:
            yield reader
        finally:
            with self._changed:
                self._readers.discard(reader)

    def pinned(self, reader: Reader, ask: Callable[[], Sequence[BlockRow]]) -> Sequence[BlockRow]:
        """As `Reader.blocks`."""
        with self._changed:
            assert reader in self._readers, "the reader is done"
            self._asked += 1
            number = self._asked
            self._asking.add(number)
        rows: Sequence[BlockRow] = ()
        try:
            rows = ask()
        finally:
            with self._changed:
                reader.held.update(row.block_id for row in rows)
                self._asking.discard(number)
                self._changed.notify_all()
        return rows

    def unread(self, blocks: Sequence[N], *, in_need: bool = False) -> list[N]:
        """Those of the blocks that nobody reads; of blocks that are removed, nobody ever will.

        The removal must be committed before the call. None of them when somebody takes longer than
        `ASKING_S` to ask the catalog: look again later. `in_need`: readers that give way do not
        count.
        """
        if not blocks:
            return []
        with self._changed:
            if not self._all_have_asked():
                return []
            firm = [reader.held for reader in self._readers if not (in_need and reader.gives_way)]
            return [b for b in blocks if not any(b.block_id in held for held in firm)]

    def _all_have_asked(self) -> bool:
        """Wait for those who are asking the catalog at this moment; whether they are done."""
        last, until_s = self._asked, time.monotonic() + ASKING_S
        while any(number <= last for number in self._asking):
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not self._changed.wait(left_s):
                return False
        return True

    def count(self) -> int:
        """How many blocks are held."""
        with self._changed:
            return len(set().union(*(reader.held for reader in self._readers)))

    def longest_s(self) -> float:
        """For how long the oldest reader has been reading; 0 without readers."""
        now_s = time.monotonic()
        with self._changed:
            return max((now_s - reader.began_s for reader in self._readers), default=0.0)
