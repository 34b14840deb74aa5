"""Which streams are there, and which labels do they have? From stream tables alone.

Of a table, label names and values are counted as codes; only what is shown becomes a text.
"""

from collections.abc import Iterable

import numpy as np

from querier.budget import Budget
from querier.reading.view import View
from querier.result import LabelPairs
from storage.stream_labels import U64

SERIES_BYTES = 600
"""Of a stream in a list, about: its labels as objects."""


def series(views: Iterable[View], budget: Budget) -> list[LabelPairs]:
    """Label sets of the streams of any view, sorted."""
    found: set[LabelPairs] = set()
    seen: U64 = np.zeros(0, np.uint64)
    last = seen  # those of the source before: mostly a block has the streams of its neighbours
    for view in views:
        for source in view.sources:
            budget.check()
            ordinals = np.flatnonzero(source.streams)
            streams = source.source.table.fingerprints(ordinals)
            if np.array_equal(streams, last):
                continue
            last = streams
            fresh = np.flatnonzero(~np.isin(streams, seen))
            if not len(fresh):
                continue
            budget.charge(len(fresh) * SERIES_BYTES)
            found.update(source.source.table.pairs_of(ordinals[fresh]))
            seen = np.concatenate([seen, streams[fresh]])
    return sorted(found)


def label_names(view: View, budget: Budget) -> list[str]:
    """Names of the labels of the streams of a view, sorted."""
    found: set[str] = set()
    for source in view.sources:
        budget.check()
        found |= source.source.table.names_of(source.streams)
    return sorted(found)


def label_values(view: View, name: str, budget: Budget) -> list[str]:
    """Values of a label among the streams of a view, sorted."""
    found: set[str] = set()
    for source in view.sources:
        budget.check()
        column = source.source.table.column(name)
        if not source.streams.all():
            column = column.take(source.streams)
        found.update(column.distinct())
    return sorted(found)
