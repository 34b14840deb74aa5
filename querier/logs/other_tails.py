"""What comes in at other ingesters, for those who follow a query here?

For each tenant that somebody follows there is one call to each live ingester, whose batches go to
the tenant's tailers as those of this process do. `join` makes them before the history is read, so
nothing falls between both; `look`, called again and again, joins ingesters that are new, ends calls
that nobody needs and tells the tailers of an ingester that was lost.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog

from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from narfi.core.threads import SYSTEM_THREADS
from querier.logs.tail import TailHub
from storage.batch import LogBatch
from storage.catalog.leases import JournalRow, JournalState

log = structlog.get_logger(__name__)

JOIN_S = 2.0
"""How long a follow waits for all ingesters before it begins without some."""
LOST_S = 5.0
"""An ingester says every second that it is there."""
WAIT_S = 0.02


class Call(Protocol):
    """A call that brings batches."""

    def __iter__(self) -> Iterator[LogBatch | None]:
        """None: the ingester is there; first when it has joined. Raises `AppError`."""
        ...

    def cancel(self) -> None:
        """End it."""
        ...


FollowHead = Callable[[JournalRow, TenantId], Call]


@dataclass(eq=False, kw_only=True)
class _Subscription:
    """One tenant at one ingester."""

    tenant: TenantId
    row: JournalRow
    call: Call
    heard_s: float = field(default_factory=time.monotonic)
    joined: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class OtherTails:
    """Subscriptions of this process; thread-safe."""

    def __init__(
        self,
        hub: TailHub,
        *,
        journals: Callable[[], Sequence[JournalRow]],
        follow: FollowHead,
        is_mine: Callable[[str], bool],
    ) -> None:
        self._hub, self._journals = hub, journals
        self._follow, self._is_mine = follow, is_mine
        self._held: dict[tuple[TenantId, str], _Subscription] = {}
        self._told: set[tuple[TenantId, str]] = set()  # of whom it was said that they are lost
        self._lock = threading.Lock()
        hub.when_opened(self.join)

    def join(self, tenant: TenantId) -> None:
        """Return when the tenant is followed at all ingesters, or some did not answer in time."""
        try:
            self.look()
        except AppError as error:
            log.warning("other ingesters are not known", error=error.message)
        deadline = time.monotonic() + JOIN_S
        with self._lock:
            mine = [one for one in self._held.values() if one.tenant == tenant]
        for one in mine:
            while not one.joined.is_set() and not one.ended.is_set():
                if time.monotonic() > deadline:
                    self._lost(one)
                    break
                one.joined.wait(WAIT_S)

    def look(self) -> int:
        """Make the calls that are missing, end those that are not needed; 0.

        Raises `CatalogError` when nobody knows which ingesters there are.
        """
        tenants = self._hub.tenants()
        rows = self._live() if tenants else ()
        wanted = {(tenant, row.journal_id): (tenant, row) for tenant in tenants for row in rows}
        with self._lock:
            for key, one in list(self._held.items()):
                silent = time.monotonic() - one.heard_s > LOST_S
                if key not in wanted or one.ended.is_set() or silent:
                    del self._held[key]
                    one.call.cancel()
                    if key[0] in tenants:
                        self._lost(one)
            self._told.intersection_update(wanted)
            missing = [pair for key, pair in wanted.items() if key not in self._held]
            for tenant, row in missing:
                one = _Subscription(tenant=tenant, row=row, call=self._follow(row, tenant))
                self._held[tenant, row.journal_id] = one
                SYSTEM_THREADS.start("other tail", partial(self._read, one))
        return 0

    def _live(self) -> Sequence[JournalRow]:
        return [
            row
            for row in self._journals()
            if row.state is JournalState.LIVE
            and row.address
            and not row.expired
            and not self._is_mine(row.journal_id)
        ]

    def _read(self, one: _Subscription) -> None:
        try:
            for batch in one.call:
                one.heard_s = time.monotonic()
                one.joined.set()
                self._told.discard((one.tenant, one.row.journal_id))
                if batch is not None:
                    self._hub.offer(one.tenant, batch)
        except AppError as error:
            if one.joined.is_set():
                log.info("following an ingester ended", at=one.row.address, error=error.message)
        finally:
            one.ended.set()

    def _lost(self, one: _Subscription) -> None:
        key = one.tenant, one.row.journal_id
        if key in self._told:
            return
        self._told.add(key)
        self._hub.tell(
            one.tenant,
            f"the ingester at {one.row.address} cannot be followed: what it takes may be missing",
        )

    def close(self) -> None:
        """End all calls."""
        with self._lock:
            for one in self._held.values():
                one.call.cancel()
            self._held.clear()
