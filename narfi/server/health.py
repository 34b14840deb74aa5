"""What is the state of each part, and since when?

A part is well, degraded (it works, and somebody should look) or failing (what it is for is not
done). Each state that is not well says in one sentence what is wrong, and in another what to do.
`part_checks.py` finds states; here it is remembered since when each holds.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from narfi.core.clock import Clock
from narfi.core.settings import Role
from narfi.server.canary_book import CanaryBook

State = Literal["ok", "degraded", "failing"]
WORST: tuple[State, ...] = ("failing", "degraded", "ok")
"""The worst first."""

NEEDS: Mapping[Role, tuple[str, ...]] = {
    "ingester": ("disk", "journal"),
    "querier": ("catalog", "objects"),
    "compactor": ("catalog", "objects"),
    "ruler": ("catalog", "objects"),
}
"""Parts without which a role does nothing of what it is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The state of a part as it was found."""

    part: str
    state: State = "ok"
    what: str = ""  # is wrong
    step: str = ""  # to take


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """The state of a part, and since when it is that."""

    part: str
    state: State
    since_ns: int
    what: str
    step: str


class Health:
    """The states of all parts as they were found last; thread-safe."""

    def __init__(self, clock: Clock, canary: CanaryBook | None = None) -> None:
        self._clock, self.canary = clock, canary
        self.began_ns = clock.now_ns()
        self._began_s = time.monotonic()
        self._lock = threading.Lock()
        self._parts: dict[str, PartState] = {}

    @property
    def uptime_s(self) -> float:
        """Seconds since the process was put together."""
        return time.monotonic() - self._began_s

    def note(self, found: Sequence[Found]) -> Sequence[PartState]:
        """Remember what was found; the parts, those that are worst first."""
        now = self._clock.now_ns()
        with self._lock:
            parts: dict[str, PartState] = {}
            for one in found:
                before = self._parts.get(one.part)
                same = before is not None and before.state == one.state
                since = before.since_ns if before is not None and same else now
                parts[one.part] = PartState(
                    part=one.part, state=one.state, since_ns=since, what=one.what, step=one.step
                )
            self._parts = parts
        return self.parts()

    def parts(self) -> Sequence[PartState]:
        """As they were found last, the worst first; nothing before the first look."""
        return sorted(self._parts.values(), key=lambda one: WORST.index(one.state))

    def hinders(self, role: Role) -> Sequence[PartState]:
        """Parts that fail and without which the role does nothing."""
        return [one for one in self.parts() if one.state == "failing" and one.part in NEEDS[role]]
