"""What if power goes inside an operation? From the drawn call on, nothing reaches disk or catalog.

What the code does on its way out (give up an intent, delete half an object) is not done either.
"""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from tests.faults.crash_disk import CrashDisk
from tests.ingester.lives import Switch

T = TypeVar("T")
NEVER = 2**62


class PowerFailure(BaseException):
    """The machine stops here; no handler of errors sees it."""


class Power:
    """Whether the machine runs."""

    def __init__(self) -> None:
        self.off = False

    def check(self) -> None:
        """Raise `PowerFailure` when it does not."""
        if self.off:
            raise PowerFailure

    def fail(self) -> None:
        """It stops now."""
        self.off = True
        raise PowerFailure


class MortalDisk(CrashDisk):
    """The disk of a machine through all lives of its processes."""

    def __init__(self, power: Power) -> None:
        super().__init__()
        self._power = power
        self._off_at, self._bad_from = -1, NEVER
        self._bad: BaseException = OSError()

    def arm_for_good(self, calls_from_now: int, error: BaseException) -> None:
        """Every call after so many others raises this, until `disarm`."""
        self._bad_from, self._bad = self.calls + calls_from_now, error

    def arm_power(self, calls_from_now: int) -> None:
        """Power goes at the call after so many others."""
        self._off_at = self.calls + calls_from_now

    def disarm(self) -> None:
        """No call fails any more."""
        super().disarm()
        self._off_at, self._bad_from = -1, NEVER

    def _call(self) -> None:
        self._power.check()
        if self.calls == self._off_at:
            self._power.fail()
        if self.calls >= self._bad_from:
            self.calls += 1
            raise self._bad
        super()._call()

    def write(self, descriptor: int, pieces: Sequence[bytes | memoryview]) -> int:
        """As the system's; at a power failure half of it may be there."""
        self._power.check()
        return super().write(descriptor, pieces)

    def power_off(self, chance: random.Random) -> None:
        """What was not synced stays or goes."""
        self.disarm()
        super().power_off(chance)


class MortalSwitch(Switch):
    """The transactions of a machine's catalogs."""

    def __init__(self, power: Power) -> None:
        super().__init__()
        self._power = power
        self._off_at, self._committed = -1, False

    def arm_power(self, steps_from_now: int, *, after: bool) -> None:
        """Power goes before or after a transaction commits."""
        self._off_at, self._committed = self.steps + steps_from_now, after

    def disarm(self) -> None:
        """No step fails any more."""
        super().disarm()
        self._off_at = -1

    def step(self, do: Callable[[], T]) -> T:
        """Commit, or not."""
        self._power.check()
        here = self.steps == self._off_at
        if here and not self._committed:
            self._power.fail()
        result = super().step(do)
        if here:
            self._power.fail()
        return result
