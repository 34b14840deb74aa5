"""`| line_format "…"`: a line made by a template (reference/logql.md §8.1)."""

from logql.ast import LineFormat
from narfi.core.label_column import CodedColumn
from narfi.core.text.template.nodes import Action, Command, Field, Pipe
from narfi.core.text.template.parser import Template
from querier.operators.fields import set_errors
from querier.operators.frame import Frame
from querier.operators.templates import ERROR_NAME, Renderer, template_of
from storage.lines.plain import PlainLines


class LineFormatOperator:
    """Replaces lines; where the template fails the line stays and gets an error.

    A template that is nothing but `{{.name}}` is no template but the value of that label, so
    `{{.__error__}}` alone gives a label of that name and not the row's error (as recorded).
    """

    def __init__(self, stage: LineFormat) -> None:
        template = template_of(stage)
        self._label = _only_label(template)
        self._renderer = Renderer(template)

    def apply(self, frame: Frame) -> Frame:
        """The frame with rendered lines."""
        if not len(frame):
            return frame
        if self._label is not None:
            empty = CodedColumn.constant(b"", len(frame))
            return frame.with_lines(PlainLines(frame.label(self._label).over(empty).spans))
        rendered = self._renderer.render(frame)
        frame = frame.with_lines(rendered.lines(frame))
        return set_errors(frame, ERROR_NAME, rendered.failed, rendered.messages)


def _only_label(template: Template) -> str | None:
    """The label of a template that is one action with one field, else None."""
    match template.nodes:
        case (Action(Pipe(_, (Command(_, (Field(_, (name,)),)),), ())),):
            return name
        case _:
            return None
