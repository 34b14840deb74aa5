"""What is remembered of plain lines that are too many to be kept? The filter of those read twice.

A query that is asked once pays nothing for it; one that is asked again does not read lines that
cannot hold its needles (docs/adr/0017-ngram-filters.md).
"""

from collections.abc import Hashable

from narfi.core.columns import Spans
from storage.block.ngrams import Ngrams
from storage.cache import ByteCache

READ_ONCE, READ_ONCE_BYTES = "read once", 256


def note_read(cache: ByteCache[object], key: Hashable, lines: Spans) -> None:
    """The plain lines of a row group, of which `key` is the name, were read and are not kept."""
    before = cache.get((key, "grams"))
    if before is None:
        cache.put((key, "grams"), READ_ONCE, READ_ONCE_BYTES)
    elif before is READ_ONCE:
        make_filter(cache, key, lines)


def make_filter(cache: ByteCache[object], key: Hashable, lines: Spans) -> None:
    """Remember the filter of the plain lines of a row group."""
    found = Ngrams.of(lines)
    cache.put((key, "grams"), found, found.bits.nbytes)


def filter_of(cache: ByteCache[object], key: Hashable) -> Ngrams | None:
    """The filter of the lines; None when there is none."""
    found = cache.get((key, "grams"))
    return found if isinstance(found, Ngrams) else None
