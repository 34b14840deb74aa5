"""Which groups are this process's to evaluate? All, or where there are more rulers its share.

Rulers that share a catalog divide the groups by a hash of group and ruler, so that one that comes
or goes moves only its own share. Each claims its groups for a time and makes that longer while it
lives. Of one that is dead the claims run out, and the others take them; one that was paused for
longer than that sees by its own clock, which only has to run evenly, that it holds nothing.
"""

import time
from collections.abc import Callable, Collection
from hashlib import blake2b
from threading import Lock
from typing import Protocol

import structlog

from narfi.core.errors import AppError
from storage.catalog.rule_claims import RuleClaims
from storage.catalog.rule_keys import GroupKey

log = structlog.get_logger(__name__)

BEATS = 3
"""In the time to live of a claim."""


class Claims(Protocol):
    """Says which groups are whose."""

    @property
    def holder(self) -> str:
        """Under which name state is written; empty: nobody else writes it."""
        ...

    def share(self, keys: Collection[GroupKey], busy: Collection[GroupKey]) -> frozenset[GroupKey]:
        """Those of all groups that are this process's now; what is busy stays until it is done.

        Raises `CatalogError`.
        """
        ...

    def is_held(self, key: GroupKey) -> bool:
        """Whether a group is still this process's."""
        ...


class Alone:
    """There is no other ruler."""

    holder = ""

    def share(self, keys: Collection[GroupKey], _busy: Collection[GroupKey]) -> frozenset[GroupKey]:
        """All of them."""
        return frozenset(keys)

    def is_held(self, _key: GroupKey) -> bool:
        """Always."""
        return True


ALONE = Alone()


class Shared:
    """One of several rulers; `beat` is for one thread, `share` for another."""

    def __init__(
        self,
        claims: RuleClaims,
        holder: str,
        ttl_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holder = holder
        self._claims, self._ttl_s, self._clock_s = claims, ttl_s, clock_s
        self._rulers: tuple[str, ...] = ()
        self._until_s = 0.0  # until when everything in `_held` is ours
        self._held: frozenset[GroupKey] = frozenset()
        self._beating = Lock()
        self._left = False

    @property
    def rulers(self) -> tuple[str, ...]:
        """Who was there at the last beat."""
        return self._rulers

    def beat(self) -> None:
        """Tell that this ruler lives, and learn who else does. Raises `CatalogError`."""
        with self._beating:
            if not self._left:
                began = self._clock_s()
                self._rulers = tuple(self._claims.beat(self.holder, int(self._ttl_s * 1000)))
                self._until_s = began + self._ttl_s

    def share(self, keys: Collection[GroupKey], busy: Collection[GroupKey]) -> frozenset[GroupKey]:
        """Take what is ours and free, give back what is another's; what is held afterwards."""
        known, now = frozenset(keys), self._claims.held(self.holder)
        wanted = frozenset(key for key in known if owner_of(key, self._rulers) == self.holder)
        foreign = (now & known) - wanted - frozenset(busy)
        self._held = now - foreign  # nothing of it is evaluated from here on
        self._claims.give_back(self.holder, foreign)
        self._claims.forget(self.holder, now - known)
        taken = self._claims.take(self.holder, wanted - now, int(self._ttl_s * 1000))
        self._held = (now & known) - foreign | taken
        return self._held

    def is_held(self, key: GroupKey) -> bool:
        """Whether a group is still ours, by the time of this machine."""
        return key in self._held and self._clock_s() < self._until_s

    def leave(self) -> None:
        """Let the others have everything at once."""
        self._held = frozenset()
        with self._beating:
            self._left = True
            try:
                self._claims.leave(self.holder)
            except AppError as error:
                log.warning("rule groups are not given back, they run out", error=error.message)


def owner_of(key: GroupKey, rulers: Collection[str]) -> str:
    """Who of the rulers should evaluate a group; "" where there is none.

    The highest hash of group and ruler wins, so one that goes moves only its own groups.
    """

    def weight(ruler: str) -> bytes:
        text = "\0".join((ruler, key.tenant, key.namespace, key.name))
        return blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()

    return max(rulers, key=weight, default="")
