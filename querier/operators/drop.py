"""`| drop a, b="x"`: labels removed (reference/logql.md §8.4)."""

import numpy as np

from logql.ast import Drop, NamedLabel
from narfi.core.columns import Mask
from narfi.core.label_column import LabelColumn
from querier.operators.frame import ERROR, ERROR_DETAILS, Frame


class DropOperator:
    """Removes labels by name, or where their value satisfies a matcher."""

    def __init__(self, stage: Drop) -> None:
        self._items = stage.items

    def apply(self, frame: Frame) -> Frame:
        """The frame without the labels."""
        for item in self._items:
            frame = self._drop(frame, item)
        return frame

    def _drop(self, frame: Frame, item: NamedLabel) -> Frame:
        rows = None if item.matcher is None else condition_rows(frame, item)
        if item.name == ERROR:
            return frame.with_errors(_without(frame.error, rows), frame.details)
        if item.name == ERROR_DETAILS:
            return frame.with_errors(frame.error, _without(frame.details, rows))
        return frame.without_label(item.name, rows)


def condition_rows(frame: Frame, item: NamedLabel) -> Mask:
    """Rows whose label is present and satisfies the item's matcher."""
    assert item.matcher is not None
    column = frame.shown(item.name)
    accepted = np.array([item.matcher.matches(text) for text in column.texts] + [False])
    result: Mask = accepted[column.codes]
    return result


def _without(column: LabelColumn | None, rows: Mask | None) -> LabelColumn | None:
    if column is None or rows is None:
        return None
    return column.without(rows)
