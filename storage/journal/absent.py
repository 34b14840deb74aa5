"""What is the journal of a process that takes no pushes? One that refuses them."""

from collections.abc import Callable, Iterator, Sequence

from storage.journal.base import (
    Damage,
    JournalAwayError,
    JournalCounters,
    Record,
    StoredRecord,
)


class AbsentJournal:
    """A `Journal` that is empty for ever."""

    journal_id = ""

    def __init__(self) -> None:
        self.counters = JournalCounters()

    def append(self, record: Record) -> int:
        """Refuse it."""
        raise JournalAwayError("this process takes no pushes: ingester is not among its roles")

    def when_durable(self, on_durable: Callable[[Sequence[int]], None]) -> None:
        """Nothing ever is."""

    def replay(self, damaged: Callable[[Damage], None]) -> Iterator[StoredRecord]:
        """Nothing."""
        return iter(())

    def stored_bytes(self) -> int:
        """Nothing."""
        return 0

    def last_position(self) -> int:
        """None was given."""
        return 0

    def skip_to(self, position: int) -> None:
        """None will be given."""

    def truncate(self, up_to: int) -> None:
        """There is nothing to forget."""

    def close(self) -> None:
        """There is nothing to close."""
