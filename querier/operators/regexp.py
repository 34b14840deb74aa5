"""`| regexp "(?P<a>..)"`: named groups of the first match (reference/logql.md §6.6)."""

import numpy as np
import pyarrow.compute as pc

from logql.ast import RegexpParser
from narfi.core.columns import Spans
from narfi.core.label_column import LabelColumn, SpansColumn
from narfi.core.regex import compile_regex
from narfi.core.text.label_names import sanitise
from querier.operators.base import Demand
from querier.operators.fields import PLACE_BYTES, add_fields
from querier.operators.frame import Frame
from storage.lines.search import may_match


class RegexpOperator:
    """Extracts the named groups; a line that does not match gets no labels."""

    def __init__(self, stage: RegexpParser, demand: Demand) -> None:
        compile_regex(stage.pattern)
        self._pattern = only_named_groups(stage.pattern)
        self._wanted = demand.labels

    def apply(self, frame: Frame) -> Frame:
        """The frame with the groups as labels; a group that took no part is empty."""
        if not len(frame):
            return frame
        groups = self._pattern.count("(?P<")
        frame.account.charge(frame.lines.nbytes() * 2 + groups * len(frame) * PLACE_BYTES)
        rows = np.flatnonzero(may_match(frame.lines, self._pattern))
        lines = frame.lines if len(rows) == len(frame) else frame.lines.take(rows)
        found = pc.extract_regex(lines.spans().to_arrow(text=True), self._pattern)
        matched = np.asarray(found.is_valid())
        fields: dict[str, LabelColumn] = {}
        for k in range(found.type.num_fields):
            name = sanitise(found.type.field(k).name)
            if not name or (self._wanted is not None and not self._is_wanted(name)):
                continue
            spans = Spans.from_arrow(found.field(k))
            start, length = np.zeros(len(frame), np.int64), np.full(len(frame), -1, np.int32)
            start[rows] = spans.start
            length[rows] = np.where(matched, np.maximum(spans.length, 0), -1)
            column = SpansColumn(Spans(spans.data, start, length))
            fields[name] = fields[name].over(column) if name in fields else column
        return add_fields(frame, fields)

    def _is_wanted(self, name: str) -> bool:
        return self._wanted is None or bool({name, f"{name}_extracted"} & self._wanted)


def only_named_groups(pattern: str) -> str:
    """The pattern with unnamed groups made non-capturing: Arrow takes named ones only."""
    out: list[str] = []
    at, in_class = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            out.append(pattern[at : at + 2])
            at += 2
            continue
        if char == "[" and not in_class:
            in_class = True
        elif char == "]":
            in_class = False
        elif char == "(" and not in_class:
            if pattern.startswith("(?<", at):
                out.append("(?P<")
                at += 3
                continue
            if not pattern.startswith("(?", at):
                out.append("(?:")
                at += 1
                continue
        out.append(char)
        at += 1
    return "".join(out)
