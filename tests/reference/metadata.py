"""Structured metadata as it would be without columns: a dictionary for each row."""

from collections.abc import Sequence

import numpy as np

from narfi.core.columns import Spans
from narfi.core.wire.push import Pairs
from storage.metadata import Metadata

Rows = list[dict[str, str]]


def pairs_of(rows: Sequence[Sequence[tuple[str, str]]]) -> Pairs:
    """The pairs of a push, each row with its own in order."""
    flat = [(row, name, value) for row, found in enumerate(rows) for name, value in found]
    return Pairs(
        np.array([row for row, _, _ in flat], np.int32),
        Spans.of(name.encode() for _, name, _ in flat),
        Spans.of(value.encode() for _, _, value in flat),
    )


def rows_of(metadata: Metadata, count: int) -> Rows:
    """What each row has, read from the form that it is kept in."""
    found: Rows = [{} for _ in range(count)]
    for row, name, value in metadata.items():
        assert name not in found[row], "a name is there once"
        found[row][name] = value
    return found


def rows_of_columns(metadata: Metadata, count: int) -> Rows:
    """What each row has, read from columns."""
    found: Rows = [{} for _ in range(count)]
    for name, column in metadata.every_column().items():
        assert len(column) == count
        for row, code in enumerate(column.codes.tolist()):
            if code >= 0:
                found[row][name] = column.texts[code]
    return found
