"""How do the stages of a query run? One after another, each told what is wanted of it.

Invariant: every stage sees the line and the labels as the stages written before it left them.
Parsers whose labels nobody looks at are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from logql import ast
from narfi.core.text.label_names import EXTRACTED_SUFFIX
from querier.operators.base import Demand, Operator
from querier.operators.frame import ERROR, Frame
from querier.operators.line_filter import needle_of
from querier.operators.order import run_order
from querier.operators.reads import PARSERS, demand_before, drops_rows, reads_line
from querier.operators.registry import build_operator
from querier.rules import ALL_RULES, Rule, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Operators in the order in which they run; safe for several threads."""

    operators: tuple[Operator, ...]
    needs_lines: bool
    metadata_names: frozenset[str] | None  # structured metadata that is looked at; None: all
    needles: tuple[bytes, ...]
    reads: frozenset[str] | None  # labels that are looked at; None: all
    stages: tuple[ast.Stage, ...]  # what the operators do
    demand: Demand  # what is looked at behind them
    plain_lines: bool = False  # typed columns of shapes are not used

    def apply(self, frame: Frame) -> Frame:
        """The frame after all stages."""
        for operator in self.operators:
            if not len(frame):
                return frame
            frame = operator.apply(frame)
        return frame


def build_pipeline(
    stages: Sequence[ast.Stage], demand: Demand, rules: Rules = ALL_RULES
) -> Pipeline:
    """A pipeline whose result shows at least the demanded labels (and lines, errors)."""
    ordered = run_order(stages)
    operators: list[Operator] = []
    run: list[ast.Stage] = []
    after = demand
    needs_lines = False
    line_is_read = demand.lines
    for stage in reversed(ordered):
        if isinstance(stage, ast.LineFormat | ast.Decolorize) and not line_is_read:
            continue  # nobody sees the line, nor that the template fails (§10.1)
        if not _is_idle(stage, after, line_is_read=line_is_read):
            operators.append(build_operator(stage, after))
            run.append(stage)
            needs_lines = needs_lines or reads_line(stage)
            line_is_read = line_is_read or reads_line(stage)
        after = demand_before(stage, after)
    all_metadata = Rule.UNREAD_METADATA not in rules
    return Pipeline(
        operators=tuple(reversed(operators)),
        needs_lines=needs_lines or Rule.UNREAD_LINES not in rules,
        metadata_names=None
        if all_metadata or after.labels is None
        else _metadata_names(after, after.labels),
        needles=_needles(ordered) if Rule.LITERAL_PRUNING in rules else (),
        reads=after.labels,
        stages=tuple(reversed(run)),
        demand=demand,
        plain_lines=Rule.SHAPE_COLUMNS not in rules,
    )


def _metadata_names(demand: Demand, labels: frozenset[str]) -> frozenset[str]:
    """Structured metadata that is looked at; it may also set the error of a row."""
    return stored_names(labels) | (frozenset((ERROR,)) if demand.errors else frozenset())


def stored_names(labels: frozenset[str]) -> frozenset[str]:
    """Metadata that may become the labels: also what a collision renames."""
    return labels | {name.removesuffix(EXTRACTED_SUFFIX) for name in labels}


def _is_idle(stage: ast.Stage, after: Demand, *, line_is_read: bool) -> bool:
    """A parser of whose labels, errors and line nothing is seen."""
    if isinstance(stage, ast.Unpack) and line_is_read:
        return False
    return isinstance(stage, PARSERS) and after.labels == frozenset() and not after.errors


def _needles(ordered: Sequence[ast.Stage]) -> tuple[bytes, ...]:
    """Literals of the line filters that see the stored line."""
    found: list[bytes] = []
    for stage in ordered:
        if not isinstance(stage, ast.LineFilter):
            break
        needle = needle_of(stage)
        if needle:
            found.append(needle)
    return tuple(found)


def split_for_limit(stages: Sequence[ast.Stage], rules: Rules = ALL_RULES) -> Pipeline:
    """The shortest prefix that holds every stage which drops rows, with only its own demand."""
    if Rule.SEARCH_PREFIX not in rules:
        return build_pipeline(stages, Demand(), rules)
    ordered = run_order(stages)
    last = max((k for k, stage in enumerate(ordered) if drops_rows(stage)), default=-1)
    return build_pipeline(ordered[: last + 1], Demand(frozenset(), errors=True), rules)
