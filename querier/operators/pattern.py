"""`| pattern "<a> lit <_> <b>"`: captures between literals (reference/logql.md §6.5)."""

import numpy as np

from logql.ast import PatternParser
from narfi.core.columns import Spans
from narfi.core.kernels.pattern_scan import extract_pattern
from narfi.core.label_column import SpansColumn
from narfi.core.text.pattern import WILDCARD, Capture, compile_parser_pattern
from querier.operators.base import Demand
from querier.operators.fields import PLACE_BYTES, add_fields
from querier.operators.frame import Frame
from querier.operators.shape_pattern import capture_pieces


class PatternOperator:
    """Extracts the named captures that are demanded."""

    def __init__(self, stage: PatternParser, demand: Demand) -> None:
        nodes = compile_parser_pattern(stage.pattern)
        self._nodes = nodes
        self._leading = isinstance(nodes[0], Capture)
        self._trailing = isinstance(nodes[-1], Capture)
        self._literals = Spans.of(node for node in nodes if isinstance(node, bytes))
        self._names = [node.name for node in nodes if isinstance(node, Capture)]
        wanted = demand.labels
        self._kept = [
            wanted is None or bool({name, f"{name}_extracted"} & wanted) for name in self._names
        ]

    def apply(self, frame: Frame) -> Frame:
        """The frame with the captures as labels."""
        shape = frame.lines.shape()
        pieces = None if shape is None else capture_pieces(self._nodes, shape.template)
        if shape is not None and pieces is not None:
            return add_fields(
                frame,
                {
                    name: shape.text_between(pieces[name])
                    for name, kept in zip(self._names, self._kept, strict=True)
                    if kept and name != WILDCARD and name in pieces
                },
            )
        lines, literals = frame.lines.spans(), self._literals
        count, rows = len(self._names), len(frame)
        frame.account.charge(count * rows * PLACE_BYTES)
        start = np.zeros((count, rows), np.int64)
        length = np.empty((count, rows), np.int32)
        extract_pattern(
            lines.data,
            lines.start,
            lines.length,
            literals.data,
            literals.start,
            literals.length,
            self._leading,
            self._trailing,
            start,
            length,
        )
        fields = {
            name: SpansColumn(Spans(lines.data, start[k], length[k]))
            for k, name in enumerate(self._names)
            if name != WILDCARD and self._kept[k]
        }
        return add_fields(frame, fields)
