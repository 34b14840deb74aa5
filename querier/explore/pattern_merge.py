"""Which masks are one pattern, and how is it written?

A line is cut behind each blank, tab and comma; what is between them is a word. The most frequent
mask begins a cluster; a mask joins the first cluster of its level whose first mask it is like: the
same cuts, empty words in the same places, and all words but one, or most of them, the same. In a
cluster, words that are frequent at a place make patterns of their own; what differs in the rest is
a hole. Holes whose values are all equal are no holes.

Invariant: written as a line filter (`|> "pattern"`), a pattern finds the lines that it counts.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from narfi.core.text.masks import MARK, shared
from narfi.core.text.pattern import compile_filter_pattern, matches

HOLE = "<_>"
MIN_HITS = 30
SIMILAR_TENTHS = 7
"""Tenths of the words that are equal where a mask joins a cluster, unless all but one are equal."""
FREQUENT_PART = 10
"""A word of so large a part of a cluster's lines, a tenth, makes a pattern of its own."""

_WORD = re.compile(r"([^ \t,]*)([ \t,]?)")
_JOINERS = ".:/-+@%"
_TOKEN = re.compile(
    rf"[A-Za-z0-9_\x80-\U0010ffff](?:[A-Za-z0-9_\x80-\U0010ffff{re.escape(_JOINERS)}]*"
    r"[A-Za-z0-9_\x80-\U0010ffff])?"
)
"""As in a mask; a mark is a token."""
_UNREADABLE = re.compile(r"<[A-Za-z_][A-Za-z0-9_]*>|\ufffd")
"""What a pattern would read otherwise: names in angles, and bytes that are no characters."""
_MARKS = re.compile(f"{MARK}+")


@dataclass(slots=True, kw_only=True)
class CountedMask:
    """Lines of one mask and level: how often when, one of them, and what fills the marks.

    A value is a text, or what is common up to a slash and a mark.
    """

    text: str
    level: str
    line: bytes
    values: list[str]
    counts: NDArray[np.int64]

    @property
    def hits(self) -> int:
        """Lines in all buckets."""
        return int(self.counts.sum())

    def keep(self, values: Sequence[str]) -> None:
        """Forget of the values what other lines of the mask have not."""
        for place, value in enumerate(values):
            self.keep_at(place, value)

    def keep_at(self, place: int, value: str) -> None:
        """The same of one value."""
        mine = self.values[place]
        if mine not in (MARK, value):
            self.values[place] = shared(mine, value)


@dataclass(slots=True)
class Pattern:
    """A pattern, the level of its lines, and lines by bucket."""

    text: str
    level: str
    counts: NDArray[np.int64]
    example: bytes = b""
    """A line of its most frequent mask."""

    @property
    def hits(self) -> int:
        """Lines in all buckets."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True)
class _Item:
    """A mask by its words."""

    mask: CountedMask
    hits: int
    words: tuple[str, ...]

    def pieces(self) -> list[list[str]]:
        """Of each word the texts between its tokens, and its tokens, in turn."""
        values = iter(self.mask.values)
        return [list(_pieces(word, values)) for word in self.words]


def merge_masks(masks: Iterable[CountedMask], min_hits: int = MIN_HITS) -> list[Pattern]:
    """The patterns of masks that come most frequent first; rarer ones are left out."""
    groups: dict[tuple[str, tuple[str, ...]], list[_Item]] = {}
    for counted in masks:
        cut = [found.groups() for found in _WORD.finditer(counted.text) if found[0]]
        separators = tuple(separator for _, separator in cut)
        item = _Item(counted, counted.hits, tuple(word for word, _ in cut))
        groups.setdefault((counted.level, separators), []).append(item)
    found: dict[tuple[str, str], Pattern] = {}
    for (level, separators), items in groups.items():
        for cluster in _clusters(items):
            for part in _parts(cluster, min_hits):
                if sum(item.hits for item in part) < min_hits:
                    continue
                text = _text_of(part, separators)
                counts = np.sum([item.mask.counts for item in part], axis=0)
                known = found.get((text, level))
                if known is None:
                    most = max(part, key=lambda item: item.hits).mask
                    found[text, level] = Pattern(text, level, counts, most.line)
                else:
                    known.counts = known.counts + counts
    return list(found.values())


def _pieces(word: str, values: Iterator[str]) -> Iterator[str]:
    """Texts between the tokens and the tokens in turn."""
    at = 0
    for token in _TOKEN.finditer(word):
        yield word[at : token.start()]
        yield next(values) if token[0] == MARK else token[0]
        at = token.end()
    yield word[at:]


def _clusters(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Items that are like the first of a cluster; all have the same number of words."""
    width = len(items[0].words)
    ids: dict[str, int] = {"": 0}
    firsts = np.zeros((16, width), np.int32)
    clusters: list[list[_Item]] = []
    for item in items:
        row = np.array([ids.setdefault(word, len(ids)) for word in item.words], np.int32)
        known, size = firsts[: len(clusters)], np.count_nonzero(row)
        equal = ((known == row) & (row != 0)).sum(axis=1)
        # nothing and something are never alike: a hole holds a character at least
        hollow = ((known == 0) != (row == 0)).any(axis=1)
        alike = (equal >= max(1, min(size - 1, -(-SIMILAR_TENTHS * size // 10)))) & ~hollow
        place = int(alike.argmax()) if alike.any() else -1
        if place >= 0:
            clusters[place].append(item)
            continue
        if len(clusters) == len(firsts):
            firsts = np.concatenate([firsts, np.zeros_like(firsts)])
        firsts[len(clusters)] = row
        clusters.append([item])
    yield from clusters


def _parts(cluster: list[_Item], min_hits: int) -> Iterator[list[_Item]]:
    """The cluster parted by words that are frequent at their places."""
    least = max(min_hits, -(-sum(item.hits for item in cluster) // FREQUENT_PART))
    waiting = [cluster]
    while waiting:
        part = waiting.pop()
        split = _split(part, least)
        if split is None:
            yield part
        else:
            waiting += split


def _split(part: list[_Item], least: int) -> list[list[_Item]] | None:
    """By the place with the fewest words of which one is frequent and others are there."""
    found: tuple[int, int, Counter[str]] | None = None
    for place in range(len(part[0].words)):
        hits: Counter[str] = Counter()
        for item in part:
            hits[item.words[place]] += item.hits
        if len(hits) > 1 and max(hits.values()) >= least:
            key = (len(hits), place)
            if found is None or key < found[:2]:
                found = (*key, hits)
    if found is None:
        return None
    _, place, hits = found
    parts: dict[str, list[_Item]] = {}
    for item in part:
        word = item.words[place]
        parts.setdefault(word if hits[word] >= least else MARK * 2, []).append(item)
    return list(parts.values())


def _text_of(part: Sequence[_Item], separators: Sequence[str]) -> str:
    words = zip(*(item.pieces() for item in part), strict=True)
    text = "".join(
        _joined(found) + separator for separator, found in zip(separators, words, strict=True)
    )
    text = _MARKS.sub(MARK, _UNREADABLE.sub(MARK, text))
    # a hole's value may hold what ends the line behind it (`5.1.`), so that belongs to the hole
    stripped = text.rstrip(_JOINERS)
    text = stripped if stripped.endswith(MARK) else text
    return _loosened(text, part[0].mask.line).replace(MARK, HOLE)


def _joined(words: Sequence[list[str]]) -> str:
    """One word for all: token by token where the texts between are equal, else from the start."""
    first = words[0]
    if all(len(word) == len(first) and word[::2] == first[::2] for word in words):
        return "".join(reduce(shared, column) for column in zip(*words, strict=True))
    size = 0
    for column in zip(*words, strict=False):
        if MARK in column[0] or any(text != column[0] for text in column):
            break
        size += 1
    size -= 1 - size % 2  # up to a token: the text in front of it stays
    if any(len(word) == size for word in words):  # nothing would be left of a word
        size -= 2
    return "".join(first[: max(size, 0)]) + MARK


def _loosened(text: str, line: bytes) -> str:
    """The text without what keeps it from finding the line, off the end; nearly always whole."""
    while not matches(compile_filter_pattern(text.replace(MARK, HOLE)), line):
        text = text.rstrip(MARK).rpartition(MARK)[0] + MARK
    return text
