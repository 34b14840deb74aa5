"""Which records does a journal in an object store hold? Numbers are guessed upwards.

A listing is never needed: numbers have no gaps, so the first one that is missing is the end, as a
seal is. Several are asked for at once, more the longer the journal turns out to be.
Invariant: a number that could not be read for another reason than that it is missing is an error,
never the end.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from narfi.core.threads import started_pool
from storage.journal.base import StoredRecord
from storage.journal.numbered import (
    DamagedCommitError,
    Seal,
    decode_object,
    encode_seal,
    key_of,
)
from storage.objects.base import ObjectExistsError, ObjectMissingError, ObjectStore, SharedObjects

AT_ONCE = 16
"""Objects that are asked for at once, at most."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One number of a journal; `damage` says why its records cannot be read."""

    number: int
    records: Sequence[StoredRecord]
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """Nothing was found at this number, or a seal."""

    number: int
    seal: Seal | None


class JournalNumbers:
    """Reads journals of one object store; thread-safe. Close it."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._pool: ThreadPoolExecutor = started_pool(AT_ONCE, "journal")

    def read(
        self, journal_id: str, number: int, ended: Callable[[End], None] = lambda _: None
    ) -> Iterator[Commit]:
        """Commits from this number on, ascending; `ended` is told where they end.

        Raises `ObjectError` when the store does not answer.
        """
        at_once = 1
        while True:
            numbers = range(number, number + at_once)
            found = self._pool.map(lambda n: self.look(journal_id, n), numbers)
            for one in found:
                if isinstance(one, End):
                    ended(one)
                    return
                yield one
            number += at_once
            at_once = min(2 * at_once, AT_ONCE)

    def look(self, journal_id: str, number: int) -> Commit | End:
        """What is there at one number."""
        try:
            data = self._objects.get(key_of(journal_id, number))
        except ObjectMissingError:
            return End(number, None)
        try:
            found = decode_object(journal_id, number, data)
        except DamagedCommitError as error:
            return Commit(number, (), error.message)
        return End(number, found) if isinstance(found, Seal) else Commit(number, found)

    def delete(self, journal_id: str, numbers: Sequence[int]) -> None:
        """Delete these; raises `ObjectError`, and then some of them are there still."""
        keys = [key_of(journal_id, number) for number in numbers]
        for _ in self._pool.map(self._objects.delete, keys):
            pass

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()


def seal(
    objects: SharedObjects, numbers: JournalNumbers, journal_id: str, number: int, epoch: int
) -> Iterator[Commit]:
    """The commits from `number` on, of which none follows any more when this is exhausted.

    A put of the old writer that is under way becomes part of the journal, or finds the seal.
    Raises `ObjectError`; then the journal may be sealed or not, and it can be done again.
    """
    while True:
        ends: list[End] = []
        for commit in numbers.read(journal_id, number, ends.append):
            number = commit.number + 1
            yield commit
        (end,) = ends
        number = end.number
        if end.seal is not None:
            return
        try:
            objects.create(key_of(journal_id, number), encode_seal(journal_id, epoch))
        except ObjectExistsError:
            continue  # the writer, or another one who seals, was faster: see what it is
        return
