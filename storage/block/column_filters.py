"""Which columns of a row group can hold a text? Filters of columns that were searched before.

A column that is searched a second time is worth a filter of its three-byte runs: later searches
leave it out, and a row group whose columns all deny a text is not read at all. What was searched
once is only noted, so that a question asked once pays nothing.
Invariant: never no for a text that stands in a value of the column.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from narfi.core.columns import Spans
from storage.block.ngrams import Ngrams
from storage.cache import ByteCache

COLUMN_BYTES = 128
"""Of a column beside its filter."""
MANY_DIGITS = 6


def says_nothing_of(text: bytes) -> bool:
    """Whether no filter is worth to be asked for a text."""
    return len(text) < MANY_DIGITS and text.isdigit()


@dataclass(frozen=True, slots=True)
class ColumnFilters:
    """What is known of the columns of one row group, by number."""

    filters: Mapping[int, Ngrams] = field(default_factory=dict)
    searched: frozenset[int] = frozenset()  # once

    def may_hold(self, number: int, text: bytes) -> bool:
        """Whether a value of a column may contain a text; of few digits nothing is said.

        Runs of three digits stand in any column with ids: to ask for one or two spares nothing.
        """
        found = self.filters.get(number)
        return found is None or says_nothing_of(text) or found.may_hold(text)

    def after(self, numbers: Iterable[int], texts: Callable[[int], Spans]) -> "ColumnFilters":
        """With columns that were searched; `texts` gives all that stand in one."""
        fresh = frozenset(numbers) - self.filters.keys()
        if not fresh:
            return self
        again = fresh & self.searched
        made = {number: Ngrams.of_few(texts(number)) for number in again}
        return ColumnFilters({**self.filters, **made}, (self.searched | fresh) - again)

    def nbytes(self) -> int:
        """Memory held, about."""
        count = len(self.filters) + len(self.searched)
        return count * COLUMN_BYTES + sum(one.bits.nbytes for one in self.filters.values())


NOTHING = ColumnFilters()


def filters_of(cache: ByteCache[object], key: Hashable) -> ColumnFilters:
    """What is known of the columns of a row group, of which `key` is the name."""
    found = cache.get((key, "filters"))
    return found if isinstance(found, ColumnFilters) else NOTHING


def note_searched(
    cache: ByteCache[object],
    key: Hashable,
    numbers: Iterable[int],
    texts: Callable[[int], Spans],
) -> None:
    """Columns of a row group were searched; of two threads at once, one may be forgotten."""
    before = filters_of(cache, key)
    found = before.after(numbers, texts)
    if found is not before:
        cache.put((key, "filters"), found, found.nbytes())


def make_filters(
    cache: ByteCache[object],
    key: Hashable,
    numbers: Iterable[int],
    texts: Callable[[int], Spans],
) -> None:
    """As if the columns had been searched twice."""
    wanted = frozenset(numbers)
    for _ in range(2):
        note_searched(cache, key, wanted, texts)
