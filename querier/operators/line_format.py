"""`| line_format "…"`: a line made by a template (reference/logql.md §8.1)."""

from logql.ast import LineFormat
from narfi.core.text.template.parser import parse_template
from querier.frame import Frame
from querier.operators.fields import set_errors
from querier.operators.templates import ERROR_NAME, render_rows
from storage.lines.plain import PlainLines


class LineFormatOperator:
    """Replaces lines; where the template fails the line stays and gets an error."""

    def __init__(self, stage: LineFormat) -> None:
        self._template = parse_template(stage.template, "line")

    def apply(self, frame: Frame) -> Frame:
        """The frame with rendered lines."""
        if not len(frame):
            return frame
        rendered = render_rows(frame, self._template)
        lines = rendered.texts
        if rendered.failed.any():
            lines = (
                rendered.column()
                .without(rendered.failed > 0)
                .over(rendered.line_column(frame))
                .spans
            )
        frame = frame.with_lines(PlainLines(lines))
        return set_errors(frame, ERROR_NAME, rendered.failed, rendered.messages)
