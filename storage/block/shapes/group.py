"""Which lines have one shape? Those that are cut alike; texts also need words in common.

Lines of one skeleton (the bytes around the holes) can always share a shape. Texts of one skeleton
but of different words are kept apart while the words differ much, and merged otherwise, as Drain
does it: so `GET` and `POST` are values of a hole, and two messages are two shapes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64
from narfi.core.kernels.shape_scan import PLAIN, TEXT, number_hashes
from storage.block.shapes.cut import CutLines
from storage.block.shapes.least import LeastRows

MAX_SHAPES = 64
"""Shapes of a block; the rarest go to the plain lines."""
MAX_FAMILY = 4096
"""Shapes of a family; the index of a block holds the constants of all."""
MAX_VARIANTS = 64
"""More variants of one skeleton are merged without a look at them."""
SIMILARITY = 0.6
"""Share of equal words above which two variants are one shape."""

_DIGITS = b"0123456789"

U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows (ascending) that are cut alike, and how (`shape_scan.JSON` …)."""

    rows: I64
    cut: int


def group_lines(cut: CutLines, min_rows: int) -> list[Group]:
    """The groups worth a shape, largest first; lines in none of them stay plain.

    A shape of fewer than `min_rows` lines does not pay for the footer of a file of its own.
    """
    groups: list[Group] = []
    for rows in _equal_rows(cut.skeleton, min_rows, 4 * MAX_SHAPES):
        how = int(cut.how[rows[0]])
        if how == PLAIN:
            continue
        if how == TEXT:
            groups += [Group(found, how) for found in _by_words(cut, rows, min_rows)]
        else:
            groups.append(Group(rows, how))
    groups.sort(key=lambda group: -len(group.rows))
    return groups[:MAX_SHAPES]


def family_groups(cut: CutLines, rows: I64, least: LeastRows) -> list[Group]:
    """The groups of the lines at `rows` (ascending), largest first; no limit but `MAX_FAMILY`.

    Shapes of a family share columns, so JSON and logfmt need few lines; the constants of a text say
    nothing about another one.
    """
    groups: list[Group] = []
    codes, firsts = _numbered(cut.skeleton[rows])
    model = rows[firsts]
    how, holes = cut.how[model], cut.hole_count[model].astype(np.int64)
    sizes = np.bincount(codes, minlength=len(model))
    nbytes = np.bincount(codes, cut.lines.length[rows], len(model))
    enough = sizes >= np.where(how == TEXT, least.text, least.keyed)
    worth = enough & (how != PLAIN) & (nbytes >= holes * least.hole_bytes)
    for code, mine in _rows_of(codes, sizes, _largest(np.flatnonzero(worth), sizes, MAX_FAMILY)):
        same, kind = rows[mine], int(how[code])
        if kind == TEXT:
            parted = _by_words(cut, same, least.text)
            if len(parted) > 1:
                count = int(holes[code])
                parted = [found for found in parted if least.pays(_bytes_of(cut, found), count)]
            groups += [Group(found, kind) for found in parted if len(found) >= least.text]
        else:
            groups.append(Group(same, kind))
    groups.sort(key=lambda group: (-len(group.rows), int(group.rows[0])))
    return groups[:MAX_FAMILY]


def _bytes_of(cut: CutLines, rows: I64) -> int:
    return int(cut.lines.length[rows].sum())


def _equal_rows(hashes: U64, min_rows: int, most: int) -> list[I64]:
    """The rows of each hash that has enough of them."""
    codes, firsts = _numbered(hashes)
    sizes = np.bincount(codes, minlength=len(firsts))
    large = _largest(np.flatnonzero(sizes >= min_rows), sizes, most)
    return [rows for _, rows in _rows_of(codes, sizes, large)]


def _numbered(hashes: U64) -> tuple[I32, I64]:
    """(a number for each hash, in order of first appearance; the first row of each number)."""
    size = 16
    while size < 2 * len(hashes) + 2:
        size *= 2
    codes, firsts = np.empty(len(hashes), np.int32), np.empty(len(hashes), np.int64)
    count = number_hashes(hashes, np.full(size, -1, np.int64), codes, firsts)
    return codes, firsts[:count]


def _largest(codes: I64, sizes: I64, most: int) -> I64:
    """The codes, or those with most rows where they are too many."""
    if len(codes) <= most:
        return codes
    return codes[np.argsort(-sizes[codes], kind="stable")[:most]]


def _rows_of(codes: I32, sizes: I64, wanted: I64) -> Iterator[tuple[int, I64]]:
    """Each wanted code with its rows, ascending."""
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(sizes)
    for code in wanted.tolist():
        yield code, order[ends[code] - sizes[code] : ends[code]]


def _by_words(cut: CutLines, rows: I64, min_rows: int) -> list[I64]:
    """The rows of one skeleton, parted by their words where those differ much."""
    codes, firsts = _numbered(cut.words[rows])
    count = len(firsts)
    if count == 1 or count > MAX_VARIANTS:
        return [rows]
    sizes = np.bincount(codes, minlength=count)
    clusters: list[tuple[list[bytes], list[int]]] = []
    for code in np.argsort(-sizes, kind="stable").tolist():
        texts = words_in(cut, int(rows[firsts[code]]))
        best, share = None, SIMILARITY
        for cluster in clusters:
            alike = share_of_words(cluster[0], texts)
            if alike >= share or (best is None and sizes[code] < min_rows):
                best, share = cluster, max(alike, share)
        if best is None:
            clusters.append((texts, [code]))
        else:
            best[1].append(code)
    number = np.empty(count, np.int32)
    for place, (_, members) in enumerate(clusters):
        number[members] = place
    owner = number[codes]
    return [rows[owner == place] for place in range(len(clusters))]


def share_of_words(a: list[bytes], b: list[bytes]) -> float:
    """The share of words without digits that are equal."""
    if len(a) != len(b):
        return 0.0  # equal hashes of different lines
    same = total = 0
    for x, y in zip(a, b, strict=True):
        if x or y:
            total += 1
            same += x == y
    return same / total if total else 1.0


def words_in(cut: CutLines, line: int) -> list[bytes]:
    """The words of a line; those with digits are empty (more of them than `_mix_word` sees)."""
    texts = cut.holes(line)
    return [text if len(text.translate(None, _DIGITS)) == len(text) else b"" for text in texts]
