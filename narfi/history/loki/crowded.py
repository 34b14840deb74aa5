"""What if more entries share a nanosecond than an answer may hold? The instant is asked in parts.

First with the largest limit that the source allows, then stream by stream, then each stream's lines
with and without a piece of text that about half of them have, again and again. Entries that differ
in nothing but metadata, or in nothing at all, cannot be told apart by a query: then it is said so.
"""

import re
from collections import Counter
from collections.abc import Callable

from narfi.core.labels import quote
from narfi.history.errors import SourceError
from narfi.history.loki.asking import Asker, TooLargeError
from narfi.history.loki.listing import series
from narfi.history.loki.selectors import exact_selector
from narfi.history.page import Streams

_WORDS = re.compile(r"\w+")
_MOST_WORDS = 200_000
_LINES_LOOKED_AT = 1000

_RAISED_LIMIT = 100_000
"""Entries that are asked for at once where it is one instant; of most sources it is too many."""

Ask = Callable[[str, int, int, int], tuple[Streams, int]]
"""Query, start and end in ns, limit: the streams of the answer, and how many entries it has."""


def instant(asker: Asker, ask: Ask, selector: str, ts_ns: int, limit: int) -> Streams:
    """All entries of one nanosecond; raises `SourceError` where they cannot be had."""
    try:
        raised = max(limit, _RAISED_LIMIT)
        streams, count = ask(selector, ts_ns, ts_ns + 1, raised)
    except TooLargeError as error:
        limit = max(limit, error.entries)
    else:
        if count < raised:
            return streams
        limit = raised
    known = series(asker, selector, ts_ns, ts_ns + 1)
    names = sorted({name for labels in known for name in labels})
    found: Streams = {}
    for labels in known:
        one = exact_selector(labels, names)
        for text, entries in _parts(ask, one, "", ts_ns, limit).items():
            found.setdefault(text, []).extend(entries)
    return found


def _parts(ask: Ask, selector: str, filters: str, ts_ns: int, limit: int) -> Streams:
    query = selector + filters
    streams, count = ask(query, ts_ns, ts_ns + 1, limit)
    if count < limit:
        return streams
    lines = [line for entries in streams.values() for _, line, _ in entries]
    text = dividing_text(lines)
    if text is None:
        raise SourceError(
            f"{count} or more entries of {query} have the time {ts_ns} ns and lines that no query "
            f"tells apart, and the source answers with {limit} at most: raise its "
            "max_entries_limit_per_query above the number of equal lines, and give --batch as much"
        )
    found: Streams = {}
    for filter_ in (f" |= {quote(text)}", f" != {quote(text)}"):
        for labels, entries in _parts(ask, selector, filters + filter_, ts_ns, limit).items():
            found.setdefault(labels, []).extend(entries)
    return found


def dividing_text(lines: list[bytes]) -> str | None:
    """A text that about half of the lines contain; None where every line is the same."""
    texts = [
        line.decode("utf-8", "replace") for line in lines[:: len(lines) // _LINES_LOOKED_AT + 1]
    ]
    counted: Counter[str] = Counter()
    for text in texts:
        counted.update(set(_WORDS.findall(text)))
        if len(counted) > _MOST_WORDS:
            break
    best = min(counted, key=lambda word: abs(counted[word] - len(texts) / 2), default=None)
    candidates = [*([best] if best is not None else []), *_whole_lines(lines)]
    for text in candidates:
        if "�" in text:
            continue
        having = sum(text.encode() in line for line in lines)
        if 0 < having < len(lines):
            return text
    return None


def _whole_lines(lines: list[bytes]) -> list[str]:
    """Some line, which others are not."""
    different = sorted(set(lines), key=len)
    if len(different) < 2:
        return []
    return [different[-1].decode("utf-8", "replace"), different[0].decode("utf-8", "replace")]
