"""Can the places of catalog and blocks be reached? Asked every few seconds where they are far.

While one of them is away, pushes are kept in the journal and what needs it is refused with 503.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Gauge

from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind

log = structlog.get_logger(__name__)

REACHABLE = Gauge(
    "narfi_storage_reachable",
    "1 while a far place of blocks or catalog answers, 0 while it does not.",
    ["part"],
)


@dataclass(frozen=True, slots=True)
class Part:
    """A far place; `look` returns when it answers, or raises `AppError`."""

    name: str
    look: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Away:
    """A place that does not answer."""

    part: str
    since_ns: int
    error: str


class AwayError(AppError):
    """A far place does not answer."""

    kind = ErrorKind.UNAVAILABLE


class Reach:
    """Which places are away; `run` is called by one thread, the rest by any."""

    def __init__(self, parts: Sequence[Part], clock: Clock) -> None:
        self._parts, self._clock = tuple(parts), clock
        self._away: dict[str, Away] = {}

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of all far places."""
        return tuple(part.name for part in self._parts)

    @property
    def away(self) -> tuple[Away, ...]:
        """Those that did not answer when they were asked last."""
        return tuple(self._away.values())

    def check(self, part: str) -> None:
        """Raise `AwayError` while the place is away: who asks it would wait long for nothing."""
        found = next((one for one in self.away if one.part == part), None)
        if found is not None:
            raise AwayError(f"{part} cannot be reached: {found.error}")

    def run(self) -> int:
        """Ask each; 0, since nothing was changed."""
        for part in self._parts:
            try:
                part.look()
            except AppError as error:
                self._is_away(part.name, error.message)
            else:
                self._is_there(part.name)
        return 0

    def _is_away(self, name: str, error: str) -> None:
        REACHABLE.labels(name).set(0)
        known = self._away.get(name)
        since = self._clock.now_ns() if known is None else known.since_ns
        if known is None:
            log.error("a place of the data cannot be reached", part=name, error=error)
        self._away = {**self._away, name: Away(name, since, error)}

    def _is_there(self, name: str) -> None:
        REACHABLE.labels(name).set(1)
        if name in self._away:
            self._away = {key: away for key, away in self._away.items() if key != name}
            log.info("a place of the data can be reached again", part=name)
