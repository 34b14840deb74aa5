"""`| keep a, b="x"`: every other label removed (reference/logql.md §8.4)."""

import numpy as np

from logql.ast import Keep, NamedLabel
from querier.operators.drop import condition_rows
from querier.operators.frame import ERROR, ERROR_DETAILS, PRESERVE_ERROR, Frame


class KeepOperator:
    """Removes every label that matches no item; error labels stay."""

    def __init__(self, stage: Keep) -> None:
        self._items: dict[str, list[NamedLabel]] = {}
        for item in stage.items:
            self._items.setdefault(item.name, []).append(item)

    def apply(self, frame: Frame) -> Frame:
        """The frame with only the listed labels."""
        for name in sorted(frame.names() - {ERROR, ERROR_DETAILS, PRESERVE_ERROR}):
            items = self._items.get(name)
            if items is None:
                frame = frame.without_label(name)
            elif all(item.matcher is not None for item in items):
                kept = np.zeros(len(frame), np.bool_)
                for item in items:
                    kept |= condition_rows(frame, item)
                frame = frame.without_label(name, ~kept)
        return frame
