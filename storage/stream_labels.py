"""How are the labels of many streams held? As codes; a `Labels` is made only for what is shown.

A table of 100,000 streams is a few arrays: which names and texts each stream has, by number. A
stream is known between tables by its fingerprint, which needs no process-wide table and means the
same in every process. Invariant: equal labels have equal fingerprints, whatever holds them.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from narfi.core.columns import I32, I64, Mask, Spans
from narfi.core.combined_codes import Combined, combine, count_through
from narfi.core.label_column import CodedColumn, LabelColumn
from narfi.core.labels import Labels
from narfi.core.matchers import Matcher, MatchOp

K = TypeVar("K")
V = TypeVar("V")
U64 = NDArray[np.uint64]
Ordinals = NDArray[np.integer] | slice
"""Streams of a table, by number; `slice(None)`: all of them."""
Some = NDArray[np.integer]
"""Streams of a table, by number."""
KEPT_COLUMNS = 8
"""Label columns that coded labels keep at least; others are made anew from the codes."""
KEPT_CODES = 1 << 16
"""Of few streams more columns are kept, up to so many codes."""

Pairs = tuple[tuple[str, str], ...]
"""Names and values of a stream, sorted by name."""


class Remembered(Generic[K, V]):
    """The last few values by key; thread-safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value, made the most recent; None when unknown."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            return found

    def put(self, key: K, value: V) -> None:
        """Remember a value, and forget the oldest one."""
        with self._lock:
            self._values[key] = value
            if len(self._values) > self._size:
                self._values.popitem(last=False)


class StreamLabels(Protocol):
    """The labels of the streams of a table, by ordinal; immutable."""

    def __len__(self) -> int: ...

    def __getitem__(self, ordinal: int) -> Labels: ...

    def __iter__(self) -> Iterator[Labels]: ...

    @property
    def names(self) -> tuple[str, ...]:
        """All label names, sorted."""
        ...

    def column(self, name: str) -> LabelColumn:
        """One label over the streams."""
        ...

    def fingerprints(self, ordinals: Ordinals) -> U64:
        """Which streams these are, in any table."""
        ...

    def names_of(self, streams: Mask) -> set[str]:
        """The names that some of the streams have."""
        ...

    def has(self, name: str) -> bool:
        """Whether some stream has a label of that name."""
        ...

    def pairs_of(self, ordinals: Some) -> list[Pairs]:
        """All labels of some streams; costs what they have, not what the table has."""
        ...

    def size_of(self, ordinals: Some) -> tuple[int, int]:
        """(labels, bytes or characters of their values) of some streams, together."""
        ...

    def grouped(self, ordinals: Some, names: Set[str]) -> Combined:
        """Some streams by their values of these labels; costs what they have, as `pairs_of`."""
        ...


class ListedLabels:
    """Labels as objects: of a head, whose streams are objects already."""

    def __init__(self, labels: Sequence[Labels]) -> None:
        self._labels = tuple(labels)
        self._columns: dict[str, LabelColumn] = {}
        self._names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, ordinal: int) -> Labels:
        return self._labels[ordinal]

    def __iter__(self) -> Iterator[Labels]:
        return iter(self._labels)

    @property
    def names(self) -> tuple[str, ...]:
        """All label names, sorted."""
        if self._names is None:
            self._names = tuple(sorted({name for found in self._labels for name, _ in found.pairs}))
        return self._names

    def column(self, name: str) -> LabelColumn:
        """One label over the streams, remembered."""
        found = self._columns.get(name)
        if found is None:
            index: dict[str, int] = {}
            codes = np.full(len(self._labels), -1, np.int32)
            for ordinal, labels in enumerate(self._labels):
                value = labels.get(name)
                if value:
                    codes[ordinal] = index.setdefault(value, len(index))
            values = Spans.of(v.encode("utf-8", "surrogateescape") for v in index)
            found = self._columns[name] = CodedColumn(codes=codes, values=values)
        return found

    def fingerprints(self, ordinals: Ordinals) -> U64:
        """The fingerprints of some streams."""
        chosen = range(len(self))[ordinals] if isinstance(ordinals, slice) else ordinals.tolist()
        return np.array([self._labels[ordinal].fingerprint() for ordinal in chosen], np.uint64)

    def names_of(self, streams: Mask) -> set[str]:
        """The names that some of the streams have."""
        return {n for pairs in self.pairs_of(np.flatnonzero(streams)) for n, _ in pairs}

    def has(self, name: str) -> bool:
        """Whether some stream has a label of that name."""
        return len(self.column(name).values) > 0

    def pairs_of(self, ordinals: Some) -> list[Pairs]:
        """All labels of some streams."""
        return [self._labels[ordinal].pairs for ordinal in ordinals.tolist()]

    def size_of(self, ordinals: Some) -> tuple[int, int]:
        """(labels, characters of their values) of some streams."""
        values = [len(v) for pairs in self.pairs_of(ordinals) for _, v in pairs]
        return len(values), sum(values)

    def grouped(self, ordinals: Some, names: Set[str]) -> Combined:
        """Some streams by their values of these labels."""
        return _grouped_pairs(self.pairs_of(ordinals), names)


class CodedLabels:
    """Labels as codes: of a block. The pairs of stream o are `offsets[o] : offsets[o + 1]`."""

    def __init__(
        self,
        *,
        names: tuple[str, ...],
        texts: pa.StringArray,
        offsets: I32,
        name_codes: I32,
        text_codes: I32,
        fingerprints: U64,
    ) -> None:
        self._names, self._texts = names, texts
        self._numbers = {name: number for number, name in enumerate(names)}
        self._offsets, self._name_codes, self._text_codes = offsets, name_codes, text_codes
        self._fingerprints = fingerprints
        self._kept = min(max(KEPT_COLUMNS, KEPT_CODES // max(len(self), 1)), len(names))
        self._columns: Remembered[str, LabelColumn] = Remembered(self._kept)
        self._absent: LabelColumn | None = None  # of names that no stream has

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, ordinal: int) -> Labels:
        first, end = self._offsets[ordinal], self._offsets[ordinal + 1]
        names = [self._names[code] for code in self._name_codes[first:end].tolist()]
        texts = [self._texts[code].as_py() for code in self._text_codes[first:end].tolist()]
        return Labels(tuple(zip(names, texts, strict=True)))

    def __iter__(self) -> Iterator[Labels]:
        texts = self._texts.to_pylist()
        pairs = [
            (self._names[name], texts[text])
            for name, text in zip(self._name_codes.tolist(), self._text_codes.tolist(), strict=True)
        ]
        return (Labels(tuple(pairs[low:high])) for low, high in pairwise(self._offsets.tolist()))

    @property
    def names(self) -> tuple[str, ...]:
        """All label names, sorted."""
        return self._names

    @property
    def nbytes(self) -> int:
        """Memory, with the columns that are kept."""
        arrays = (self._offsets, self._name_codes, self._text_codes, self._fingerprints)
        texts = 2 * int(self._texts.nbytes) + 12 * len(self._texts)  # columns have copies
        names = sum(len(name) + 200 for name in self._names)
        columns = (self._kept + 1) * 4 * len(self)
        return texts + names + sum(array.nbytes for array in arrays) + columns

    def column(self, name: str) -> LabelColumn:
        """One label over the streams; the last few are remembered."""
        if name not in self._numbers:
            if self._absent is None:
                self._absent = CodedColumn.absent(len(self))
            return self._absent
        found = self._columns.get(name)
        if found is None:
            found = self._column(name)
            self._columns.put(name, found)
        return found

    def _column(self, name: str) -> LabelColumn:
        places = np.flatnonzero(self._name_codes == self._numbers[name])
        owners = np.searchsorted(self._offsets, places, side="right") - 1
        used = self._text_codes[places]
        there = np.zeros(len(self._texts), np.bool_)
        there[used] = True
        numbers = np.cumsum(there, dtype=np.int32) - 1
        codes = np.full(len(self), -1, np.int32)
        codes[owners] = numbers[used]
        values = self._texts.take(pa.array(np.flatnonzero(there)))
        return CodedColumn(codes=codes, values=Spans.from_arrow(values.cast(pa.binary())))

    def fingerprints(self, ordinals: Ordinals) -> U64:
        """The fingerprints of some streams."""
        found: U64 = self._fingerprints[ordinals]
        return found

    def names_of(self, streams: Mask) -> set[str]:
        """The names that some of the streams have."""
        if streams.all():
            return set(self._names)
        chosen = np.repeat(streams, np.diff(self._offsets))
        there = np.bincount(self._name_codes[chosen], minlength=len(self._names))
        return {self._names[code] for code in np.flatnonzero(there).tolist()}

    def has(self, name: str) -> bool:
        """Whether some stream has a label of that name."""
        return name in self._numbers

    def pairs_of(self, ordinals: Some) -> list[Pairs]:
        """All labels of some streams; equal texts are one object."""
        places, counts = self._places(ordinals)
        used, text = np.unique(self._text_codes[places], return_inverse=True)
        bytes_of = Spans.from_arrow(self._texts.take(pa.array(used))).to_list()
        texts = [(value or b"").decode("utf-8", "surrogateescape") for value in bytes_of]
        names = map(self._names.__getitem__, self._name_codes[places].tolist())
        pairs = list(zip(names, map(texts.__getitem__, text.tolist()), strict=True))
        ends = np.cumsum(counts).tolist()
        return [tuple(pairs[low:high]) for low, high in pairwise([0, *ends])]

    def size_of(self, ordinals: Some) -> tuple[int, int]:
        """(labels, bytes of their values) of some streams."""
        places, _ = self._places(ordinals)
        used, counts = np.unique(self._text_codes[places], return_counts=True)
        length = Spans.from_arrow(self._texts.take(pa.array(used))).length
        return len(places), int((length * counts).sum())

    def grouped(self, ordinals: Some, names: Set[str]) -> Combined:
        """Some streams by their values of these labels: their first one, their second one, ..."""
        places, counts = self._places(ordinals)
        wanted = np.fromiter((name in names for name in self._names), np.bool_, len(self._names))
        mine = wanted[self._name_codes[places]]
        stream = np.repeat(np.arange(len(ordinals)), counts)[mine]
        places = places[mine]
        pair = self._name_codes[places] * np.int64(len(self._texts)) + self._text_codes[places]
        numbers = count_through(pair, len(self._names) * len(self._texts))
        counts = np.bincount(stream, minlength=len(ordinals))
        rank = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        columns = []
        for k in range(int(counts.max(initial=0))):
            codes = np.full(len(ordinals), -1, np.int32)
            at = np.flatnonzero(rank == k)
            codes[stream[at]] = numbers.numbers[at]
            columns.append((codes, len(numbers.first)))
        return combine(columns, len(ordinals))

    def _places(self, ordinals: Some) -> tuple[I64, I64]:
        """(the places of all pairs of some streams, how many each stream has)."""
        first = self._offsets[ordinals].astype(np.int64)
        counts = self._offsets[ordinals + 1] - first
        before = np.cumsum(counts) - counts
        places: I64 = np.arange(int(counts.sum())) + np.repeat(first - before, counts)
        return places, counts


class AddedLabel:
    """The labels of other streams and one more label, the same for all of them.

    A label of that name that is there already is kept under `original_<name>`.
    """

    def __init__(self, base: StreamLabels, name: str, value: str) -> None:
        self._base, self._name, self._value = base, name, value
        self._old = f"original_{name}"

    def __len__(self) -> int:
        return len(self._base)

    def __getitem__(self, ordinal: int) -> Labels:
        return self._more(self._base[ordinal])

    def __iter__(self) -> Iterator[Labels]:
        return map(self._more, self._base)

    def _more(self, found: Labels) -> Labels:
        pairs = found.as_dict()
        if self._name in pairs:
            pairs[self._old] = pairs[self._name]
        return Labels.of({**pairs, self._name: self._value})

    @property
    def names(self) -> tuple[str, ...]:
        """All label names, sorted."""
        return tuple(sorted(self._more_names(self._base.names)))

    def _more_names(self, names: Iterable[str]) -> set[str]:
        found = {*names, self._name}
        return found | {self._old} if self._name in names else found

    def column(self, name: str) -> LabelColumn:
        """One label over the streams."""
        if name == self._name:
            codes = np.zeros(len(self), np.int32)
            return CodedColumn(codes=codes, values=Spans.of([self._value.encode()]))
        column = self._base.column(name)
        return self._base.column(self._name).over(column) if name == self._old else column

    def fingerprints(self, ordinals: Ordinals) -> U64:
        """The base's, mixed with that of the label: equal only for equal labels of one kind."""
        own = np.uint64(Labels.of({self._name: self._value}).fingerprint() | 1)
        return self._base.fingerprints(ordinals) * own

    def names_of(self, streams: Mask) -> set[str]:
        """The names that some of the streams have."""
        return self._more_names(self._base.names_of(streams)) if streams.any() else set()

    def has(self, name: str) -> bool:
        """Whether some stream has a label of that name."""
        if name == self._name:
            return True
        return self._base.has(name) or (name == self._old and self._base.has(self._name))

    def pairs_of(self, ordinals: Some) -> list[Pairs]:
        """All labels of some streams."""
        return [self._more(Labels(pairs)).pairs for pairs in self._base.pairs_of(ordinals)]

    def size_of(self, ordinals: Some) -> tuple[int, int]:
        """(labels, characters of their values) of some streams."""
        labels, size = self._base.size_of(ordinals)
        return labels + len(ordinals), size + len(ordinals) * len(self._value)

    def grouped(self, ordinals: Some, names: Set[str]) -> Combined:
        """Some streams by their values of these labels."""
        return _grouped_pairs(self.pairs_of(ordinals), names)


def _grouped_pairs(streams: Iterable[Pairs], names: Set[str]) -> Combined:
    """Streams by the labels of these names; numbers are in order of appearance."""
    known: dict[Pairs, int] = {}
    numbers = [
        known.setdefault(tuple(pair for pair in pairs if pair[0] in names), len(known))
        for pairs in streams
    ]
    _, first = np.unique(np.array(numbers, np.int64), return_index=True)
    return Combined(np.array(numbers, np.int32), first)


def from_map(column: pa.MapArray, fingerprints: U64) -> CodedLabels:
    """Labels of an Arrow column of maps, whose pairs are sorted by name."""
    offsets: I32 = column.offsets.to_numpy(zero_copy_only=False).astype(np.int32)
    keys, items = _coded(column.keys), _coded(column.items)
    words = keys.dictionary.to_pylist()
    order = sorted(range(len(words)), key=words.__getitem__)
    rank = np.empty(len(words), np.int32)
    rank[order] = np.arange(len(words), dtype=np.int32)
    return CodedLabels(
        names=tuple(words[code] for code in order),
        texts=items.dictionary,
        offsets=offsets - offsets[0],
        name_codes=rank[_codes(keys)[offsets[0] : offsets[-1]]],
        text_codes=_codes(items)[offsets[0] : offsets[-1]],
        fingerprints=fingerprints,
    )


def _coded(column: pa.StringArray) -> pa.DictionaryArray:
    return pc.dictionary_encode(column)


def _codes(column: pa.DictionaryArray) -> I32:
    found: I32 = column.indices.to_numpy(zero_copy_only=False)
    return found


def accepted_values(column: LabelColumn, matcher: Matcher) -> Mask:
    """Which of the distinct values of a label a matcher accepts."""
    values = column.values
    if matcher.op in (MatchOp.EQ, MatchOp.NE):
        equal = _equal(values, matcher.value.encode("utf-8", "surrogateescape"))
        return equal if matcher.op is MatchOp.EQ else ~equal
    if matcher.op is MatchOp.RE and matcher.value in (".*", ".+"):
        return np.ones(len(values), np.bool_) if matcher.value == ".*" else values.length > 0
    texts = ((value or b"").decode("utf-8", "surrogateescape") for value in values.to_list())
    return np.fromiter(map(matcher.matches, texts), np.bool_, len(values))


def _equal(values: Spans, wanted: bytes) -> Mask:
    """Which values are these bytes; of the values that are left, byte by byte."""
    left = np.flatnonzero(values.length == len(wanted))
    for place, byte in enumerate(wanted):
        if not len(left):
            break
        left = left[values.data[values.start[left] + place] == byte]
    result = np.zeros(len(values), np.bool_)
    result[left] = True
    return result
