"""Which things fail, and at how many places? Each kind counts its points, then strikes at one."""

import contextlib
import errno
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from narfi.core.errors import AppError, ErrorKind
from storage.journal.base import JournalError
from tests.matrix.faults import Calls, Statements, io_error, product_calls, reads
from tests.matrix.operations import Operation
from tests.matrix.world import DAY, World


class Kind(Protocol):
    """A way in which one call fails."""

    def points(self, world: World, operation: Operation) -> Sequence[Any]:
        """Where it can strike, found by running the operation undisturbed."""
        ...

    def armed(self, world: World, point: Any) -> contextlib.AbstractContextManager[None]:
        """It strikes at the point while the block runs."""
        ...

    def told_well(self, error: BaseException) -> bool:
        """Whether an operation may end with this error."""
        ...


class DiskFails:
    """A call that changes the disk."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def points(self, world: World, operation: Operation) -> Sequence[int]:
        """Every call."""
        before = world.disk.calls
        operation.run(world)
        return range(world.disk.calls - before)

    @contextlib.contextmanager
    def armed(self, world: World, point: int) -> Iterator[None]:
        """Once."""
        world.disk.arm_error(point, self._error)
        yield

    def told_well(self, error: BaseException) -> bool:
        """By us, or as the disk said it: starts and commands make a sentence of that."""
        return isinstance(error, AppError | type(self._error))


class AnswerLost:
    """A transaction of the catalog: not begun, or committed and nobody learns it."""

    def __init__(self, *, after: bool) -> None:
        self._after = after

    def points(self, world: World, operation: Operation) -> Sequence[int]:
        """Every transaction that writes."""
        before = world.switch.steps
        operation.run(world)
        return range(world.switch.steps - before)

    @contextlib.contextmanager
    def armed(self, world: World, point: int) -> Iterator[None]:
        """Once."""
        world.switch.arm(point, after=self._after)
        yield

    def told_well(self, error: BaseException) -> bool:
        """By us."""
        return isinstance(error, AppError)


class StatementFails:
    """A statement of any catalog, in the driver."""

    def points(self, world: World, operation: Operation) -> Sequence[int]:
        """Every statement, reads too."""
        statements = Statements()
        with statements.watching():
            operation.run(world)
        return range(statements.count)

    @contextlib.contextmanager
    def armed(self, world: World, point: int) -> Iterator[None]:
        """Once."""
        error = sqlite3.OperationalError("disk I/O error")
        with Statements(point, lambda: error).watching():
            yield

    def told_well(self, error: BaseException) -> bool:
        """As a catalog that is not to be had now, which is 503."""
        return isinstance(error, AppError) and error.kind is ErrorKind.UNAVAILABLE


class ReadFails:
    """A system call that reads a file, or a read of an object."""

    def points(self, world: World, operation: Operation) -> Sequence[tuple[str, int]]:
        """Every call."""
        calls = Calls(choose=reads)
        with calls.watching():
            operation.run(world)
        return [(name, number) for name, count in calls.counts.items() for number in range(count)]

    @contextlib.contextmanager
    def armed(self, world: World, point: tuple[str, int]) -> Iterator[None]:
        """Once."""
        with Calls(choose=reads, error=io_error, point=point).watching():
            yield

    def told_well(self, error: BaseException) -> bool:
        """By us (503 where a query may meet it), or as the disk said it: starts and commands make a
        sentence of that."""
        if isinstance(error, JournalError):  # of a start or a backup
            return True
        if isinstance(error, AppError):
            return error.kind is ErrorKind.UNAVAILABLE
        return isinstance(error, OSError)


class NoMemory:
    """A call of a function: the first and the last of each function of the product."""

    def points(self, world: World, operation: Operation) -> Sequence[tuple[str, int]]:
        """Of each function that is called."""
        calls = Calls(choose=product_calls)
        with calls.watching():
            operation.run(world)
        return [
            (name, number)
            for name, count in calls.counts.items()
            for number in sorted({0, count - 1})
        ]

    @contextlib.contextmanager
    def armed(self, world: World, point: tuple[str, int]) -> Iterator[None]:
        """Once."""
        with Calls(choose=product_calls, point=point).watching():
            yield

    def told_well(self, error: BaseException) -> bool:
        """By us, or as it is."""
        return isinstance(error, AppError | MemoryError)


class ClockJumps:
    """The clock, when it is looked at: by a hundred days."""

    def __init__(self, by_ns: int) -> None:
        self._by_ns = by_ns

    def points(self, world: World, operation: Operation) -> Sequence[int]:
        """Every look."""
        before = world.clock.looks
        operation.run(world)
        return range(world.clock.looks - before)

    @contextlib.contextmanager
    def armed(self, world: World, point: int) -> Iterator[None]:
        """Once, for good."""
        world.clock.arm(point, self._by_ns)
        yield

    def told_well(self, error: BaseException) -> bool:
        """By us."""
        return isinstance(error, AppError)


KINDS: dict[str, Kind] = {
    "full": DiskFails(OSError(errno.ENOSPC, "No space left on device")),
    "broken": DiskFails(OSError(errno.EIO, "Input/output error")),
    "starved": DiskFails(MemoryError("no memory")),
    "transaction-refused": AnswerLost(after=False),
    "answer-lost": AnswerLost(after=True),
    "statement": StatementFails(),
    "read": ReadFails(),
    "memory": NoMemory(),
    "clock-back": ClockJumps(-100 * DAY),
    "clock-ahead": ClockJumps(100 * DAY),
}
