"""`| label_format a=b, c="…"`: labels renamed or made by templates (reference/logql.md §8.2)."""

from logql.ast import LabelFormat, LabelFormatItem
from narfi.core.text.template.parser import parse_template
from querier.frame import Frame
from querier.operators.fields import set_errors
from querier.operators.templates import ERROR_NAME, render_rows


class LabelFormatOperator:
    """Applies the items in turn; templates see the labels as they were at the first template."""

    def __init__(self, stage: LabelFormat) -> None:
        self._items = [
            (item, None if item.is_rename else parse_template(item.value, "label"))
            for item in stage.items
        ]

    def apply(self, frame: Frame) -> Frame:
        """The frame with the labels of the stage."""
        if not len(frame):
            return frame
        snapshot: Frame | None = None
        for item, template in self._items:
            if template is None:
                frame = _rename(frame, item)
                continue
            if snapshot is None:
                snapshot = frame
            rendered = render_rows(snapshot, template)
            column = rendered.column()
            if rendered.failed.any():
                column = column.without(rendered.failed > 0)
            frame = frame.with_parsed({item.name: column})
            frame = set_errors(frame, ERROR_NAME, rendered.failed, rendered.messages)
        return frame


def _rename(frame: Frame, item: LabelFormatItem) -> Frame:
    """Move a label; nothing happens where the source is missing."""
    source = frame.label(item.value)
    if not source.present().any():
        return frame
    return frame.with_parsed({item.name: source}).without_label(item.value)
