"""May this process acknowledge, and is the journal still its own? The holder's side of a lease.

A lease is renewed several times in its life. A holder that could not renew for one life, by its own
monotonic clock, acknowledges nothing more until it can: by then another process may have taken the
journal over. One that hears that it was taken over is fenced for good.
Invariant: an object is deleted only after the catalog committed that it may be.
"""

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from narfi.core.errors import AppError
from storage.catalog.base import BlockRow, Fence, Watermark
from storage.catalog.leases import Leases
from storage.journal.base import FENCED, FencedError, JournalAwayError
from storage.journal.numbers import JournalNumbers
from storage.store import BlockStore

log = structlog.get_logger(__name__)

WENT_BACK = (
    "the catalog has lost commits, as when a replica is promoted that has not all of them: blocks "
    "may be missing whose records the journal forgot; this ingester acknowledges nothing more"
)


class JournalLease:
    """The lease of one journal that this process writes or adopts; thread-safe."""

    def __init__(
        self,
        *,
        leases: Leases,
        numbers: JournalNumbers,
        fence: Fence,
        ttl_s: float,
        forgotten: int = 0,
        begun_s: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`begun_s`: on the monotonic clock, before the lease was taken."""
        self._leases, self._numbers = leases, numbers
        self.fence, self._ttl_s, self._monotonic = fence, ttl_s, monotonic
        self._renewed_s = monotonic() if begun_s is None else begun_s
        self._wanted = self._committed = self._deleted = forgotten
        self.address = ""  # where the holder can be asked, once it can
        self._fenced = threading.Event()
        self._tell: Callable[[str], None] = lambda _: None

    @property
    def is_fenced(self) -> bool:
        """Whether somebody else has the journal."""
        return self._fenced.is_set()

    def when_fenced(self, tell: Callable[[str], None]) -> None:
        """Call it once, with the reason, when the journal is not this process's any more."""
        self._tell = tell

    def may_acknowledge(self) -> None:
        """Return while others still wait for this process; raises `JournalError`."""
        if self.is_fenced:
            raise FencedError(f"journal {self.fence.journal_id} was taken over")
        silent_s = self._monotonic() - self._renewed_s
        if silent_s >= self._ttl_s:
            raise JournalAwayError(
                f"the lease of the journal could not be renewed for {silent_s:.0f}s, since the "
                "catalog does not answer: pushes are refused until it does"
            )

    def renew(self) -> bool:
        """Hold it for one more life, and commit what may be deleted; false when it is lost.

        Raises `CatalogError`.
        """
        if self.is_fenced:
            return False
        began, wanted = self._monotonic(), self._wanted
        ttl_ms, known = int(self._ttl_s * 1000), self._committed
        if not self._leases.renew(self.fence, ttl_ms, wanted, self.address, known=known):
            self._lost(WENT_BACK if self._went_back() else FENCED)
            return False
        self._renewed_s, self._committed = began, wanted
        return True

    def _went_back(self) -> bool:
        """Whether the catalog forgot what it had committed of this lease."""
        row = self._leases.get(self.fence.journal_id)
        if row is None or row.epoch != self.fence.epoch:
            return row is None or row.epoch < self.fence.epoch
        return row.forgotten < self._committed

    def publish(self, rows: Sequence[BlockRow], marks: Sequence[Watermark], to: BlockStore) -> None:
        """Make blocks visible, while the journal is this holder's; else `FencedError`."""
        try:
            to.publish(rows, marks, self.fence)
        except FencedError:
            self._lost(FENCED)
            raise

    def forget(self, number: int) -> None:
        """Numbers up to here are not needed any more; the next renewal commits it."""
        self._wanted = max(self._wanted, number)

    def delete_forgotten(self) -> int:
        """Delete what the catalog knows to be forgotten; how many objects. Raises `ObjectError`."""
        first, last = self._deleted + 1, self._committed
        if first > last:
            return 0
        self._numbers.delete(self.fence.journal_id, range(first, last + 1))
        self._deleted = last
        return last + 1 - first

    def _lost(self, reason: str) -> None:
        if not self._fenced.is_set():
            self._fenced.set()
            log.error("a lease was lost", journal=self.fence.journal_id, reason=reason)
            self._tell(reason)


class HeldLeases:
    """All leases of a process, renewed together; thread-safe."""

    def __init__(self) -> None:
        self._held: dict[str, JournalLease] = {}

    def add(self, lease: JournalLease) -> None:
        """Renew it from now on."""
        self._held = {**self._held, lease.fence.journal_id: lease}

    def remove(self, lease: JournalLease) -> None:
        """Let it run out."""
        gone = lease.fence.journal_id
        self._held = {name: one for name, one in self._held.items() if name != gone}

    def renew(self) -> int:
        """Renew all; 0. One that fails stops no other; the first error is raised at the end."""
        failure: AppError | None = None
        for lease in self._held.values():
            try:
                lease.renew()
            except AppError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return 0
