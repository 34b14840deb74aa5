"""`| regexp "(?P<a>..)"`: named groups of the first match (reference/logql.md §6.6)."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from logql.ast import RegexpParser
from narfi.core.columns import I64, Spans
from narfi.core.label_column import LabelColumn, SpansColumn
from narfi.core.regex import compile_regex
from narfi.core.text.label_names import EXTRACTED_SUFFIX, sanitise
from querier.operators.base import Demand
from querier.operators.fields import PLACE_BYTES, add_fields
from querier.operators.frame import Frame
from storage.lines.base import LineColumn
from storage.lines.search import may_match, wanted_runs

SAMPLE = 128
"""Lines that tell whether a pattern is worth a look for its texts first."""


class RegexpOperator:
    """Extracts the named groups; a line that does not match gets no labels."""

    def __init__(self, stage: RegexpParser, demand: Demand) -> None:
        compile_regex(stage.pattern)
        self._wanted = demand.labels
        self._pattern = only_named_groups(stage.pattern, self._is_wanted)

    def apply(self, frame: Frame) -> Frame:
        """The frame with the groups as labels; a group that took no part is empty."""
        groups = self._pattern.count("(?P<")
        if not len(frame) or not groups:
            return frame
        frame.account.charge(frame.lines.nbytes() * 2 + groups * len(frame) * PLACE_BYTES)
        rows = self._rows(frame.lines)
        lines = frame.lines if len(rows) == len(frame) else frame.lines.take(rows)
        found = self._extracted(lines.spans())
        matched = np.asarray(found.is_valid())
        fields: dict[str, LabelColumn] = {}
        for k in range(found.type.num_fields):
            name = sanitise(found.type.field(k).name)
            spans = Spans.from_arrow(found.field(k))
            start, length = np.zeros(len(frame), np.int64), np.full(len(frame), -1, np.int32)
            start[rows] = spans.start
            length[rows] = np.where(matched, np.maximum(spans.length, 0), -1)
            column = SpansColumn(Spans(spans.data, start, length))
            fields[name] = fields[name].over(column) if name in fields else column
        return add_fields(frame, fields)

    def _extracted(self, spans: Spans) -> pa.StructArray:
        """The groups of each line; null where it does not match."""
        parts = [
            pc.extract_regex(spans.take(run).to_arrow(text=True), self._pattern)
            for run in wanted_runs(spans, self._pattern)
        ]
        return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)

    def _rows(self, lines: LineColumn) -> I64:
        """Lines that may match; all where most of a few do, for then it is not worth asking."""
        count = len(lines)
        if count > SAMPLE:
            some = lines.take(np.arange(0, count, count // SAMPLE))
            if np.count_nonzero(may_match(some, self._pattern)) * 2 > len(some):
                return np.arange(count)
        return np.flatnonzero(may_match(lines, self._pattern))

    def _is_wanted(self, name: str) -> bool:
        if not name or self._wanted is None:
            return bool(name)
        return bool({name, f"{name}{EXTRACTED_SUFFIX}"} & self._wanted)


def only_named_groups(pattern: str, is_wanted: Callable[[str], bool]) -> str:
    """The pattern of which only groups with a wanted label are captured: Arrow takes named ones."""
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
            named = next((m for m in ("(?P<", "(?<") if pattern.startswith(m, at)), "")
            if named:
                at += len(named)
                name = pattern[at : pattern.index(">", at)]
                if is_wanted(sanitise(name)):
                    out.append("(?P<")
                else:
                    out.append("(?:")
                    at += len(name) + 1
                continue
            if not pattern.startswith("(?", at):
                out.append("(?:")
                at += 1
                continue
        out.append(char)
        at += 1
    return "".join(out)
