"""Which rows does a parser drop while it parses? Those that a later filter refuses anyway.

The recorded server tries the first stage that is a lone filter on a label as soon as a parser finds
that label, wherever in the pipeline the filter stands. Where the label is renamed or removed before
the filter, that shows (a quirk, reference/logql.md §7).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from logql import ast
from querier.frame import Frame
from querier.operators.base import Operator
from querier.operators.label_filter import judge, with_errors

CHANGING = (
    ast.LabelFormat
    | ast.Drop
    | ast.Keep
    | ast.JsonParser
    | ast.LogfmtParser
    | ast.RegexpParser
    | ast.PatternParser
    | ast.Unpack
)


def early_filters(stages: Sequence[ast.Stage]) -> dict[str, ast.LabelFilter]:
    """The first lone filter on each label."""
    found: dict[str, ast.LabelFilter] = {}
    for stage in stages:
        if isinstance(stage, ast.LabelFilterStage):
            only = stage.filter
            if isinstance(only, ast.StringLabelFilter):
                found.setdefault(only.matcher.name, only)
            elif not isinstance(only, ast.AndFilter | ast.OrFilter):
                found.setdefault(only.name, only)
    return found


def filters_of(stages: Sequence[ast.Stage], place: int) -> dict[str, ast.LabelFilter]:
    """The early filters that a parser at `place` must try, since they may be noticed."""
    parser = stages[place]
    if isinstance(parser, ast.JsonParser | ast.LogfmtParser) and parser.extractions:
        return {}
    if not isinstance(parser, CHANGING) or isinstance(
        parser, ast.LabelFormat | ast.Drop | ast.Keep
    ):
        return {}
    wanted = early_filters(stages)
    for stage in stages[place + 1 :]:  # up to a change of labels, the filter itself does it
        if isinstance(stage, CHANGING):
            break
        if isinstance(stage, ast.LabelFilterStage):
            wanted = {name: f for name, f in wanted.items() if f is not stage.filter}
    return wanted


class EarlyFiltered:
    """A parser with its early filters."""

    def __init__(self, parser: Operator, filters: Mapping[str, ast.LabelFilter]) -> None:
        self._parser, self._filters = parser, filters

    def apply(self, frame: Frame) -> Frame:
        """The parsed rows, less those in which a label just found is refused."""
        before = frame.parsed
        frame = self._parser.apply(frame)
        keep = np.ones(len(frame), np.bool_)
        for name, found in self._filters.items():
            column = frame.parsed.get(name)
            if column is None:
                continue
            added = column.present()
            if name in before:
                added = added & ~before[name].present()
            if added.any():
                verdict = judge(frame, found)
                keep &= ~added | verdict.keep
                failed = np.where(added, verdict.failed, 0).astype(np.int32)
                frame = with_errors(frame, replace(verdict, failed=failed))
        return frame if keep.all() else frame.take(np.flatnonzero(keep))
