"""`| label_format a=b, c="…"`: labels renamed or made by templates (reference/logql.md §8.2)."""

from dataclasses import replace

from logql.ast import LabelFormat, LabelFormatItem
from narfi.core.columns import Mask
from querier.operators.fields import set_errors
from querier.operators.frame import Frame
from querier.operators.templates import ERROR_NAME, Renderer, template_of


class LabelFormatOperator:
    """Applies the items in turn; templates see the labels as they were at the first template.

    A label that one rename moved away and a later one made again (`a=b, b=a`) is there for filters
    and in log queries; groupings by its name do not see it (as recorded).
    """

    def __init__(self, stage: LabelFormat) -> None:
        self._items = [
            (item, None if item.is_rename else Renderer(template_of(item))) for item in stage.items
        ]

    def apply(self, frame: Frame) -> Frame:
        """The frame with the labels of the stage."""
        if not len(frame):
            return frame
        snapshot: Frame | None = None
        moved: dict[str, Mask] = {}
        for item, renderer in self._items:
            if renderer is None:
                frame = _rename(frame, item, moved)
                continue
            if snapshot is None:
                snapshot = frame
            rendered = renderer.render(snapshot)
            frame = frame.with_parsed({item.name: rendered.column(frame)})
            frame = set_errors(frame, ERROR_NAME, rendered.failed, rendered.messages)
        return frame


def _rename(frame: Frame, item: LabelFormatItem, moved: dict[str, Mask]) -> Frame:
    """Move a label; nothing happens where the source is missing. Rows go into `moved`."""
    source = frame.label(item.value)
    rows = source.present()
    if not rows.any():
        return frame
    again = rows & moved[item.name] if item.name in moved else None
    if again is not None and again.any():
        before = frame.swapped.get(item.name)
        again = again if before is None else again | before
        frame = replace(frame, swapped={**frame.swapped, item.name: again})
    moved[item.value] = rows | moved[item.value] if item.value in moved else rows
    return frame.with_parsed({item.name: source}).without_label(item.value)
