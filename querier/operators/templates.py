"""How is a template applied to many rows? Over columns where it can, else once per distinct input.

What no column can answer is executed: rows are grouped by the codes of the labels that the template
reads (and by line or time when it reads those), so over few values it is executed few times.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from logql.ast import LabelFormatItem, LineFormat
from narfi.core.columns import I32, Spans
from narfi.core.label_column import LabelColumn, SpansColumn
from narfi.core.text.template.errors import TemplateExecError
from narfi.core.text.template.parser import Template, parse_template
from narfi.core.text.template.render import execute
from querier.operators.fields import text_bytes
from querier.operators.frame import ERROR, ERROR_DETAILS, Frame
from querier.operators.template_columns import ColumnTemplate
from storage.lines.base import LineColumn
from storage.lines.composed import Chosen, ComposedLines, LineTexts, print_texts
from storage.lines.holes import BytesColumn, IntegerColumn
from storage.lines.plain import PlainLines
from storage.lines.texts import Texts

ERROR_NAME = "TemplateFormatErr"

CHARGED_AT_ONCE = 4 << 20
"""Bytes that templates made: as many as one may make."""
CHECKED_ROWS = 64
LONG_TEXT = 4096
"""Between two looks at the deadline: rows of lines that are not long."""
TEXT_COPIES = 2
"""Each text, and all of them in one buffer."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text per row, empty where it `failed`: codes above 0 index `messages`."""

    texts: Texts
    failed: I32
    messages: tuple[str, ...]

    def column(self, frame: Frame) -> LabelColumn:
        """The texts as a label; absent where the template failed."""
        if isinstance(self.texts, IntegerColumn):
            return self.texts.label()
        if isinstance(self.texts, BytesColumn):
            column: LabelColumn = self.texts.label()
        else:
            column = SpansColumn(print_texts(self.texts, frame.account.charge))
        return column.without(self.failed > 0) if self.failed.any() else column

    def lines(self, frame: Frame) -> LineColumn:
        """The texts as lines; where the template failed, the lines as they are."""
        texts = self.texts
        if self.failed.any():
            texts = Chosen(self.failed == 0, texts, LineTexts(frame.lines))
        match texts:
            case BytesColumn():
                return PlainLines(texts.values)
            case LineTexts():
                return texts.lines
            case _:
                return ComposedLines(texts, frame.account.charge)


class Renderer:
    """Applies one template to frames; safe for several threads."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._columns = ColumnTemplate.of(template)

    def render(self, frame: Frame) -> Rendered:
        """The template's text for every row."""
        if self._columns is None:
            return _by_rows(frame, self._template)
        texts, too_long = self._columns.texts(frame)
        failed = np.zeros(len(frame), np.int32)
        if not too_long.any():
            return Rendered(texts, failed, ("",))
        rows = np.flatnonzero(too_long)
        rest = _by_rows(frame.take(rows), self._template)
        failed[rows] = rest.failed
        spans = rest.texts.spans()
        start, length = np.zeros(len(frame), np.int64), np.zeros(len(frame), np.int32)
        start[rows], length[rows] = spans.start, spans.length
        others = BytesColumn(Spans(spans.data, start, length))
        return Rendered(Chosen(~too_long, texts, others), failed, rest.messages)


def template_of(stage: LineFormat | LabelFormatItem) -> Template:
    """The template of a stage that runs; raises as the parser does where it does not parse."""
    if stage.parsed is not None:
        return stage.parsed
    if isinstance(stage, LineFormat):
        return parse_template(stage.template, "line")
    return parse_template(stage.value, "label")


def _by_rows(frame: Frame, template: Template) -> Rendered:
    """Once per distinct set of what it reads."""
    names = sorted(frame.names() if template.reads_all else template.fields)
    if template.reads_all:
        names += [name for name in (ERROR, ERROR_DETAILS) if name not in names]
    columns = [(name, frame.shown(name)) for name in names]
    keys = [column.codes.astype(np.int64) for _, column in columns]
    line = SpansColumn(frame.lines.spans()) if template.reads_line else None
    if line is not None:
        keys.append(line.codes.astype(np.int64))
    if template.reads_time:
        keys.append(frame.ts)
    firsts, numbers = _groups(keys, len(frame))
    texts: list[bytes] = []
    failed: list[int] = []
    messages: dict[str, int] = {"": 0}
    frame.account.charge(sum(map(text_bytes, [c for _, c in columns])))
    frame.account.charge(0 if line is None else text_bytes(line))
    made_bytes = 0
    for row in firsts.tolist():
        labels = _labels_of(columns, row)
        text = "" if line is None else line.texts[line.codes[row]]
        try:
            made = execute(template, labels, text, int(frame.ts[row]), check=frame.account.check)
            failed.append(0)
        except TemplateExecError as error:
            made = ""
            failed.append(messages.setdefault(str(error), len(messages)))
        texts.append(made.encode("utf-8", "surrogateescape"))
        made_bytes += len(texts[-1])
        if len(texts) % CHECKED_ROWS == 0 or len(text) > LONG_TEXT:
            frame.account.check()
        if made_bytes > CHARGED_AT_ONCE:
            frame.account.charge(made_bytes * TEXT_COPIES)
            made_bytes = 0
    frame.account.charge(made_bytes * TEXT_COPIES)
    spans = Spans.of(texts).take(numbers)
    return Rendered(BytesColumn(spans), np.array(failed, np.int32)[numbers], tuple(messages))


def _labels_of(columns: Sequence[tuple[str, LabelColumn]], row: int) -> dict[str, str]:
    labels = {}
    for name, column in columns:
        code = column.codes[row]
        if code >= 0:
            labels[name] = column.texts[code]
    return labels


def _groups(keys: list[np.ndarray], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(a row of each distinct combination, the combination of each row)."""
    if not keys:
        return np.zeros(min(rows, 1), np.int64), np.zeros(rows, np.int64)
    if len(keys) == 1:
        _, firsts, numbers = np.unique(keys[0], return_index=True, return_inverse=True)
        return firsts, numbers
    table = np.stack(keys, axis=1)
    _, firsts, numbers = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return firsts, numbers.ravel()
