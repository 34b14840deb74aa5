"""How do many callers share one write and one sync? Group commit, whatever the journal is kept in.

While one commit is under way the next batch of records gathers; one of the waiting callers then
commits it for all of them. Invariant: `submit` returns a position only after the commit that holds
the caller's own record has succeeded; when a commit fails, for whatever reason, every member of it
gets the error and none a position.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from narfi.core.errors import AppError
from narfi.core.threads import SYSTEM_THREADS, Threads
from storage.journal.base import JournalError

T = TypeVar("T")

Commit = Callable[[list[T]], Sequence[int]]
"""Makes the items durable, all or none, and returns their positions in the same order."""


@dataclass(frozen=True, slots=True)
class Pace(Generic[T]):
    """How much gathers before a commit that costs something, whatever is in it."""

    interval_s: float  # between the beginnings of two commits, at least
    most_bytes: int  # so much gathered ends the wait, and one commit takes no more
    size_of: Callable[[T], int]


@dataclass(slots=True)
class _Member(Generic[T]):
    """One caller's item on its way."""

    item: T
    position: int = 0
    error: BaseException | None = None
    done: bool = False

    def outcome(self) -> int:
        """The position, or the error of the commit; each caller raises an exception of its own."""
        if self.error is None:
            return self.position
        if isinstance(self.error, AppError):
            raise type(self.error)(self.error.message, self.error.kind) from self.error
        reason = str(self.error) or type(self.error).__name__
        raise JournalError(f"the journal cannot be written: {reason}") from self.error


class GroupCommit(Generic[T]):
    """Gathers items of many threads into commits of at most `most`; thread-safe."""

    def __init__(
        self,
        commit: Commit[T],
        most: int,
        threads: Threads = SYSTEM_THREADS,
        pace: Pace[T] | None = None,
    ) -> None:
        self._commit, self._most, self._pace = commit, most, pace
        self._next_s = 0.0  # on the monotonic clock: no commit begins before
        self._gathered: list[_Member[T]] = []
        self._committing = False
        self._closed = False
        self._changed = threads.condition()

    def submit(self, item: T) -> int:
        """Have the item committed, by this caller or another; its position or `JournalError`."""
        mine = _Member(item)
        with self._changed:
            if self._closed:
                raise JournalError("the journal is closed")
            self._gathered.append(mine)
            if self._pace is not None:
                self._changed.notify_all()  # who waits for more to gather looks again
            while not mine.done and self._committing:
                self._changed.wait()
            if mine.done:
                return mine.outcome()
            self._committing = True
        try:
            while not mine.done:  # a long queue may take more than one commit to come to mine
                self._commit_next()
        finally:
            with self._changed:
                self._committing = False
                self._changed.notify_all()
        return mine.outcome()

    def _commit_next(self) -> None:
        """Commit the oldest of the gathered items; their callers learn how it went."""
        batch: list[_Member[T]] = []
        failure: BaseException | None = None
        try:
            with self._changed:
                count = self._most if self._pace is None else self._paced(self._pace)
                batch, self._gathered = self._gathered[:count], self._gathered[count:]
            for member, position in zip(
                batch, self._commit([member.item for member in batch]), strict=True
            ):
                member.position = position
        except BaseException as error:
            failure = error
            if not isinstance(error, Exception):
                raise  # this thread is being ended; the others of the batch get the error too
        finally:
            with self._changed:
                for member in batch:
                    member.error, member.done = failure, True
                self._changed.notify_all()

    def _paced(self, pace: Pace[T]) -> int:
        """Wait until a commit may begin; how many of the gathered items go into it."""
        while not self._closed and (count := self._fitting(pace)) == len(self._gathered):
            left = self._next_s - time.monotonic()
            if left <= 0 or count >= self._most:
                break
            self._changed.wait(left)
        self._next_s = time.monotonic() + pace.interval_s
        return self._fitting(pace)

    def _fitting(self, pace: Pace[T]) -> int:
        """So many of the oldest items are within the bounds of a commit; at least one."""
        size = 0
        for count, member in enumerate(self._gathered[: self._most]):
            size += pace.size_of(member.item)
            if size > pace.most_bytes:
                return max(count, 1)
        return min(len(self._gathered), self._most)

    def close(self) -> None:
        """Refuse what comes from now on, and wait for the commits under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            while self._committing or self._gathered:
                self._changed.wait()
