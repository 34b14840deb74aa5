"""How do the stages of a query run? One after another, each told what is wanted of it.

Invariant: every stage sees the line and the labels as the stages written before it left them.
Stages of which nothing is seen behind them are left out.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logql import ast
from narfi.core.text.label_names import EXTRACTED_SUFFIX
from querier.operators.base import Demand, Operator
from querier.operators.frame import ERROR, Frame
from querier.operators.line_filter import LineFilterOperator, LineFilters, needles_of_filter
from querier.operators.order import run_order
from querier.operators.reads import PARSERS, demand_before, demand_in_front, reads_line
from querier.operators.registry import build_operator
from querier.operators.shared_fields import FieldParser
from storage.lines.base import LineColumn
from storage.lines.template import Template
from storage.lines.texts import Rows

SHAPE_PARSERS = ast.JsonParser | ast.LogfmtParser | ast.PatternParser


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Operators in the order in which they run; safe for several threads."""

    filters: LineFilters  # in front, of the lines as they are stored
    operators: tuple[Operator, ...]  # behind them
    stages: tuple[ast.Stage, ...]  # what both do
    by_shape: bool  # a parser finds fields in typed columns
    certain: Callable[[Template], bool] | None  # whether it does so for all lines of a template

    def parts(self, lines: LineColumn) -> Sequence[Rows]:
        """Rows that operators behind the filters had better get together, each row once.

        None: all of them at once.
        """
        return lines.parts(self.certain) if self.by_shape else ()

    def apply(self, frame: Frame) -> Frame:
        """The frame after all stages."""
        rows = self.filters.rows(frame.lines)
        return self.apply_behind(frame if rows is None else frame.take(rows))

    def apply_behind(self, frame: Frame) -> Frame:
        """The frame, of rows that the filters in front keep, after the stages behind them."""
        for operator in self.operators:
            if not len(frame):
                return frame
            frame = operator.apply(frame)
        return frame


def build_pipeline(stages: Sequence[ast.Stage], demand: Demand) -> Pipeline:
    """A pipeline whose result shows at least the demanded labels (and lines, errors)."""
    return prepare(run_stages(stages, demand), demand)


def run_stages(stages: Sequence[ast.Stage], demand: Demand) -> tuple[ast.Stage, ...]:
    """The stages in the order in which they run, without those of which nothing is seen."""
    return without_unseen(run_order(stages), demand)


def without_unseen(stages: Sequence[ast.Stage], demand: Demand) -> tuple[ast.Stage, ...]:
    """Stages that run as they stand, without those of which nothing is seen."""
    run: list[ast.Stage] = []
    after = demand
    line_is_read = demand.lines
    for stage in reversed(stages):
        if isinstance(stage, ast.LineFormat | ast.Decolorize) and not line_is_read:
            continue  # nobody sees the line, nor that the template fails (§10.1)
        if _is_idle(stage, after, line_is_read=line_is_read):
            continue
        run.append(stage)
        line_is_read = line_is_read or reads_line(stage)
        after = demand_before(stage, after)
    return tuple(reversed(run))


def prepare(stages: Sequence[ast.Stage], demand: Demand) -> Pipeline:
    """The operators of stages that run as they stand."""
    operators: list[Operator] = []
    after = demand
    for stage in reversed(stages):
        operators.append(build_operator(stage, after))
        after = demand_before(stage, after)
    operators.reverse()
    filters = list(itertools.takewhile(lambda one: isinstance(one, LineFilterOperator), operators))
    behind = tuple(operators[len(filters) :])
    return Pipeline(
        filters=LineFilters([one for one in filters if isinstance(one, LineFilterOperator)]),
        operators=behind,
        stages=tuple(stages),
        by_shape=any(isinstance(stage, SHAPE_PARSERS) for stage in stages),
        certain=_certain(behind[0]) if behind else None,
    )


def _certain(first: Operator) -> Callable[[Template], bool] | None:
    """Of which templates the operator finds all fields without looking at lines; None: of none."""
    if not isinstance(first, FieldParser):
        return None
    fields_of = first.fields_of
    return lambda template: fields_of(template) is not None


def needles_of(stages: Sequence[ast.Stage]) -> tuple[bytes, ...]:
    """Literals of the line filters that see the stored line, of stages that run as they stand."""
    found: list[bytes] = []
    for stage in stages:
        if not isinstance(stage, ast.LineFilter):
            break
        found += needles_of_filter(stage)
    return tuple(found)


def metadata_names(stages: Sequence[ast.Stage], demand: Demand) -> frozenset[str] | None:
    """Structured metadata that is looked at, by stages that run as they stand or behind them.

    None: all. It may also set the error of a row.
    """
    front = demand_in_front(stages, demand)
    if front.labels is None:
        return None
    return stored_names(front.labels) | (frozenset((ERROR,)) if front.errors else frozenset())


def stored_names(labels: frozenset[str]) -> frozenset[str]:
    """Metadata that may become the labels: also what a collision renames."""
    return labels | {name.removesuffix(EXTRACTED_SUFFIX) for name in labels}


def _is_idle(stage: ast.Stage, after: Demand, *, line_is_read: bool) -> bool:
    """A parser of whose labels, errors and line nothing is seen."""
    if isinstance(stage, ast.Unpack) and line_is_read:
        return False
    return isinstance(stage, PARSERS) and after.labels == frozenset() and not after.errors
