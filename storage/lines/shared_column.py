"""What are the values of a field over many shapes? One column, a run of it for each shape."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64, Mask, Spans, concat_spans_keeping_views
from storage.lines.contains import HoleTest, run_test
from storage.lines.holes import HoleColumn, IntegerColumn, WordsColumn
from storage.lines.template import HoleType

Types = Sequence[tuple[HoleType, I64]]
"""How values print, and of which owners those are."""


@dataclass(frozen=True, slots=True)
class SharedColumn:
    """Values without nulls; those of `shapes[k]` are `starts[k] : starts[k + 1]`."""

    values: HoleColumn
    shapes: I64  # ascending
    starts: I64  # and the end

    def nbytes(self) -> int:
        """Memory held, about."""
        return self.values.nbytes() + self.shapes.nbytes + self.starts.nbytes

    def printing(self, types: Types) -> Iterator[tuple[HoleColumn, I64 | None]]:
        """(values that print alike, their places; None: all)."""
        values = self.values
        if not isinstance(values, IntegerColumn):
            yield values, None
        elif len(types) == 1:
            yield IntegerColumn(values.values, types[0][0]), None
        else:
            for kind, owners in types:
                places = runs(self.starts[owners], self.starts[owners + 1])
                if len(places):
                    yield IntegerColumn(values.values[places], kind), places

    def having(self, text: bytes, types: Types) -> I64:
        """Places of values that contain a text that is not empty."""
        found = []
        for values, places in self.printing(types):
            hits = np.flatnonzero(values.contains(text))
            found.append(hits if places is None else places[hits])
        return found[0] if len(found) == 1 else np.concatenate([np.zeros(0, np.int64), *found])

    def lengths(self, types: Types) -> I32:
        """Bytes of each value."""
        length = np.zeros(len(self.values), np.int32)
        for values, places in self.printing(types):
            length[slice(None) if places is None else places] = values.lengths()
        return length

    def spans(self, types: Types) -> Spans:
        """The printed values."""
        parts, order = list[Spans](), list[I64]()
        for values, places in self.printing(types):
            if places is None:
                return values.spans()
            parts.append(values.spans())
            order.append(places)
        if not parts:
            return self.values.spans()
        joined = concat_spans_keeping_views(parts)
        back = np.empty(len(joined), np.int64)
        back[np.concatenate(order)] = np.arange(len(joined))
        return joined.take(back)

    def of(self, owner: int, kind: HoleType) -> HoleColumn:
        """The values of one shape, by its place in `shapes`."""
        return cut(self.values, slice(*self.starts[owner : owner + 2].tolist()), kind)

    def taken(self, places: I64 | slice, counts: I64) -> "SharedColumn":
        """Values at ascending places, so many of each shape."""
        same = int(counts.sum()) == len(self.values)
        values = self.values if same else self.values.take(places)
        return SharedColumn(values, self.shapes, np.append(0, np.cumsum(counts)))


class WordTests:
    """Which words of dictionaries pass tests: each is asked once, for all shapes."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, HoleTest], Mask] = {}

    def passed(self, number: int, values: HoleColumn, whole: HoleColumn, test: HoleTest) -> Mask:
        """Which of the values, a run of `whole`, the column of the number, pass."""
        if not isinstance(values, WordsColumn) or not isinstance(whole, WordsColumn):
            return run_test(values, test)
        key = number, HoleTest(0, test.where, test.text)
        words = self._known.get(key)
        if words is None:
            each = WordsColumn(np.arange(len(whole.words), dtype=np.int32), whole.words)
            words = self._known[key] = run_test(each, test)
        return values.rows_of(words)


def cut(values: HoleColumn, run: slice, kind: HoleType) -> HoleColumn:
    """A run of the values, which print as a hole does."""
    if isinstance(values, IntegerColumn):
        return IntegerColumn(values.values[run], kind)
    return values.take(run)


def runs(low: I64, high: I64) -> I64:
    """All numbers of `[low, high)`, run by run."""
    counts = high - low
    before = np.cumsum(counts) - counts
    found: I64 = np.arange(int(counts.sum())) + np.repeat(low - before, counts)
    return found
