"""`| pattern "<a> lit <_> <b>"`: captures between literals (reference/logql.md §6.5)."""

from collections.abc import Sequence

import numpy as np

from logql.ast import PatternParser
from narfi.core.columns import I64, Spans
from narfi.core.kernels.pattern_scan import extract_pattern
from narfi.core.label_column import SpansColumn
from narfi.core.text.pattern import WILDCARD, Capture, compile_parser_pattern
from querier.operators.base import Demand
from querier.operators.fields import PLACE_BYTES, add_fields
from querier.operators.frame import Frame
from querier.operators.shape_pattern import capture_pieces
from querier.operators.shared_fields import Fields, Source, fields_of_lines, remembered
from storage.lines.template import Template


class PatternOperator:
    """Extracts the named captures that are demanded."""

    def __init__(self, stage: PatternParser, demand: Demand) -> None:
        nodes = compile_parser_pattern(stage.pattern)
        self._pattern, self._nodes = stage.pattern, nodes
        self._leading = isinstance(nodes[0], Capture)
        self._literals = Spans.of(node for node in nodes if isinstance(node, bytes))
        self._names = [node.name for node in nodes if isinstance(node, Capture)]
        wanted = demand.labels
        self._kept = [
            wanted is None or bool({name, f"{name}_extracted"} & wanted) for name in self._names
        ]
        self._read = [
            name
            for name, kept in zip(self._names, self._kept, strict=True)
            if kept and name != WILDCARD
        ]
        self._place_of = _places(self._names, self._read)

    def apply(self, frame: Frame) -> Frame:
        """The frame with the captures as labels."""
        shape = frame.lines.shape()
        found = None if shape is None else self.fields_of(shape.template)
        if shape is not None and found is not None:
            taken = {name: shape.text_between(field.pieces) for name, field in found.items()}
            return add_fields(frame, taken)
        columns = fields_of_lines(frame.lines, self)
        if columns is not None:
            return add_fields(frame, columns)
        lines, literals = frame.lines.spans(), self._literals
        count, rows = len(self._read), len(frame)
        frame.account.charge(count * rows * PLACE_BYTES)
        start = np.empty((count, rows), np.int64)
        length = np.empty((count, rows), np.int32)
        extract_pattern(
            lines.data,
            lines.start,
            lines.length,
            literals.data,
            literals.start,
            literals.length,
            self._leading,
            self._place_of,
            start,
            length,
        )
        fields = {
            name: SpansColumn(Spans(lines.data, start[k], length[k]))
            for k, name in enumerate(self._read)
        }
        return add_fields(frame, fields)

    def fields_of(self, template: Template) -> Fields | None:
        """The captures of every line of a template; None where lines must be read."""
        key = self._pattern, tuple(self._kept)
        return remembered(template, key, lambda: self._fields(template))

    def _fields(self, template: Template) -> Fields | None:
        pieces = capture_pieces(self._nodes, template)
        if pieces is None:
            return None
        return {name: Source(pieces[name]) for name in self._read if name in pieces}


def _places(names: Sequence[str], read: Sequence[str]) -> I64:
    """Which of those that are read each capture is, up to the last of them; -1 for others."""
    found = [read.index(name) if name in read else -1 for name in names]
    while found and found[-1] < 0:
        found.pop()
    return np.array(found, np.int64)
