"""Which streams print alike? Those of one app; apps of which the lines have the same constants.

Streams begin in the group of their app-like label; one without such a label is a group of its own.
Groups join while half of their lines, by a sample, are cut alike, so that streams without labels
find each other and twenty copies of a program are one. Groups of few bytes are put together, so
that thousands of apps are not thousands of families.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64, Spans
from narfi.core.kernels.shape_scan import PLAIN, TEXT
from narfi.core.labels import Labels
from narfi.core.limits import DEFAULT_SERVICE_NAME_LABELS
from storage.block.shapes.cut import CutLines, cut

SERVICE_NAME = "service_name"
UNKNOWN_SERVICE = "unknown_service"
APP_LABELS = (SERVICE_NAME, *DEFAULT_SERVICE_NAME_LABELS)
SAMPLED = 256
"""Lines of a group that are looked at, at most."""
SAMPLED_SHARE = 4
MIN_SAMPLED = 32
"""Of fewer lines, one of four; but so many at least."""
ALIKE = 0.5
"""Groups join when they share so much of their lines."""
MOST_COMMON = 16
"""Ways to be cut by which a group is found; the most frequent ones."""
MAX_COMPARED = 64
"""Groups that are found by one way to be cut; so joining stays linear."""
SMALL_BYTES = 500_000
"""Groups with fewer bytes of lines are put together: a file of their own saves nothing."""
MISC_BYTES = 2_000_000
"""Bytes of lines from which small groups get another family."""
MISC = "misc"

_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Alike:
    """Streams (ordinals, ascending) that print alike, and what they are called.

    `name` is that of the largest app, `first` of the first one by alphabet, which changes less.
    """

    name: str
    streams: list[int]
    first: str


@dataclass(slots=True, kw_only=True)
class _Group:
    """Streams on the way to a family."""

    name: str
    streams: list[int]
    rows: int
    nbytes: int
    first: str
    shares: dict[int, float] = field(default_factory=dict)  # of lines, by how they are cut


def alike(labels: Sequence[Labels], stream: I32, lines: Spans) -> list[Alike]:
    """The families of a block's streams; every stream that has a row is in one.

    `stream` is the ordinal of the stream of each line, ascending.
    """
    joined = _joined(_by_label(labels, stream, lines))
    large = [group for group in joined if group.nbytes >= SMALL_BYTES]
    small = [group for group in joined if group.nbytes < SMALL_BYTES]
    families = large + list(_together(sorted(small, key=lambda group: group.name)))
    return [
        Alike(name, sorted(group.streams), group.first)
        for name, group in zip(_unique(families), families, strict=True)
    ]


def app_of(labels: Labels) -> str | None:
    """What the stream says that it is of."""
    for name in APP_LABELS:
        value = labels.get(name)
        if value and value != UNKNOWN_SERVICE:
            return value
    return None


def _by_label(labels: Sequence[Labels], stream: I32, lines: Spans) -> list[_Group]:
    """A group per app, with a sample of how its lines are cut."""
    bounds = np.searchsorted(stream, np.arange(len(labels) + 1))
    offsets = np.zeros(len(stream) + 1, np.int64)
    np.cumsum(lines.length, out=offsets[1:])
    rows, nbytes = np.diff(bounds), np.diff(offsets[bounds])
    numbers: dict[str | int, int] = {}
    groups: list[_Group] = []
    for ordinal, mine in enumerate(labels):
        if not rows[ordinal]:
            continue
        app = app_of(mine)
        number = numbers.setdefault(ordinal if app is None else app, len(groups))
        if number == len(groups):
            name = app or _any_value(mine)
            groups.append(_Group(name=name, streams=[], rows=0, nbytes=0, first=name))
        group = groups[number]
        group.streams.append(ordinal)
        group.rows += int(rows[ordinal])
        group.nbytes += int(nbytes[ordinal])
    _sample(groups, bounds, lines)
    return groups


def _sample(groups: Sequence[_Group], bounds: I64, lines: Spans) -> None:
    """Fill the shares of each group; stream k has the lines `bounds[k]` to `bounds[k + 1]`."""
    places: list[I64] = []
    owners: list[I64] = []
    for number, group in enumerate(groups):
        step = -(-group.rows // min(SAMPLED, max(group.rows // SAMPLED_SHARE, MIN_SAMPLED)))
        mine = [np.arange(bounds[o], bounds[o + 1], step) for o in group.streams]
        places += mine
        owners.append(np.full(sum(map(len, mine)), number))
    picked = np.concatenate(places)
    found = cut(lines.take(picked), fine=False)
    shaped = np.flatnonzero(found.how != PLAIN)
    how, owner = printed_as(found, shaped), np.concatenate(owners)[shaped]
    order = np.lexsort((how, owner))
    how, owner = how[order], owner[order]
    first = np.ones(len(how), np.bool_)
    first[1:] = (np.diff(owner) != 0) | (how[1:] != how[:-1])
    begins = np.flatnonzero(first)
    sizes = np.diff(np.append(begins, len(how)))
    totals = np.bincount(owner, minlength=len(groups))
    _, which, count = np.unique(how[begins], return_inverse=True, return_counts=True)
    common = count[which] > 1  # what one group alone has joins nothing
    begins, sizes = begins[common], sizes[common]
    for group, number, size in zip(
        owner[begins].tolist(), how[begins].tolist(), sizes.tolist(), strict=True
    ):
        groups[group].shares[number] = size / int(totals[group])


def printed_as(found: CutLines, rows: I64) -> NDArray[np.uint64]:
    """A hash of the constants of each line; of a text, of its words without digits too."""
    words = np.where(found.how[rows] == TEXT, found.words[rows], np.uint64(0))
    hashes: NDArray[np.uint64] = found.skeleton[rows] ^ words * _MIX
    return hashes


def _joined(groups: Sequence[_Group]) -> list[_Group]:
    """Groups that print alike as one, named after the largest."""
    result: list[_Group] = []
    by_how: dict[int, list[int]] = {}
    for group in sorted(groups, key=lambda group: (-group.nbytes, group.name)):
        common: dict[int, float] = {}
        for how, share in group.shares.items():
            for other in by_how.get(how, ()):
                common[other] = common.get(other, 0.0) + min(share, result[other].shares[how])
        best = max(common, key=lambda other: common[other], default=None)
        if best is not None and common[best] >= ALIKE:
            result[best].streams += group.streams
            result[best].rows += group.rows
            result[best].nbytes += group.nbytes
            result[best].first = min(result[best].first, group.first)
            continue
        for how in sorted(group.shares, key=lambda how: -group.shares[how])[:MOST_COMMON]:
            others = by_how.setdefault(how, [])
            if len(others) < MAX_COMPARED:
                others.append(len(result))
        result.append(group)
    return result


def _together(groups: Sequence[_Group]) -> Iterator[_Group]:
    """Small groups as families of about `MISC_BYTES`."""
    if len(groups) == 1:
        yield groups[0]
        return
    misc: _Group | None = None
    for group in groups:
        if misc is None:
            misc = _Group(name=MISC, streams=[], rows=0, nbytes=0, first=MISC)
        misc.streams += group.streams
        misc.rows += group.rows
        misc.nbytes += group.nbytes
        if misc.nbytes >= MISC_BYTES:
            yield misc
            misc = None
    if misc is not None:
        yield misc


def _any_value(labels: Labels) -> str:
    return labels.pairs[0][1] if labels.pairs else MISC


def _unique(groups: Sequence[_Group]) -> Iterator[str]:
    """Names, none twice."""
    used: set[str] = set()
    for group in groups:
        name, number = group.name, 1
        while name in used:
            number += 1
            name = f"{group.name}-{number}"
        used.add(name)
        yield name
