"""What is remembered of a tenant between its pushes? One object, with a lock of its own.

A push of one tenant never waits for a push of another one, but for the moment in which the object
is looked up. Invariant: an object that is in use is never forgotten.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from narfi.core.tenant import TenantId

T = TypeVar("T")


class _Slot(Generic[T]):
    """An object, its lock, and how many hold it or wait for it."""

    def __init__(self, value: T) -> None:
        self.value, self.lock, self.users = value, threading.Lock(), 0


class PerTenant(Generic[T]):
    """An object for each tenant that pushes; thread-safe."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._slots: dict[TenantId, _Slot[T]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._slots)

    def now(self) -> dict[TenantId, T]:
        """The objects of all tenants, to look at: their pushes may be changing them."""
        with self._lock:
            return {tenant: slot.value for tenant, slot in self._slots.items()}

    @contextlib.contextmanager
    def of(self, tenant: TenantId) -> Iterator[T]:
        """The tenant's object, for the caller alone within."""
        with self._lock:
            slot = self._slots.get(tenant)
            if slot is None:
                slot = self._slots[tenant] = _Slot(self._make())
            slot.users += 1
        try:
            with slot.lock:
                yield slot.value
        finally:
            with self._lock:
                slot.users -= 1

    def peek(self, tenant: TenantId) -> T | None:
        """The tenant's object as others may be changing it; None when there is none."""
        with self._lock:
            slot = self._slots.get(tenant)
        return None if slot is None else slot.value

    def sweep(self, is_idle: Callable[[T], bool]) -> int:
        """Forget the objects that are idle, and how many; `is_idle` may make them smaller too.

        Holds up one tenant at a time.
        """
        forgotten = 0
        for tenant in list(self._slots):
            with self.of(tenant) as value:
                idle = is_idle(value)
            if idle:
                with self._lock:
                    slot = self._slots.get(tenant)
                    if slot is not None and not slot.users and is_idle(slot.value):
                        del self._slots[tenant]
                        forgotten += 1
        return forgotten
