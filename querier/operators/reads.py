"""What does a stage look at? Labels, the line, its bytes; and may it drop rows?

The backward pass over a pipeline asks each stage in turn, so a parser knows what is wanted of it.
"""

from collections.abc import Sequence
from typing import assert_never

from logql import ast
from narfi.core.text.template.parser import Template
from querier.operators.base import Demand
from querier.operators.frame import ERROR

Labels = frozenset[str] | None
"""Names; None means every label."""

PARSERS = ast.JsonParser | ast.LogfmtParser | ast.RegexpParser | ast.PatternParser | ast.Unpack

LINE_CHANGERS = ast.LineFormat | ast.Unpack | ast.Decolorize
"""Stages behind which the line may be another one."""


def filter_names(found: ast.LabelFilter) -> frozenset[str]:
    """Labels that a label filter looks at."""
    match found:
        case ast.AndFilter() | ast.OrFilter():
            return filter_names(found.left) | filter_names(found.right)
        case ast.StringLabelFilter():
            return frozenset((found.matcher.name,))
        case _:
            return frozenset((found.name,))


def looks_at_errors(found: ast.LabelFilter) -> bool:
    """Whether it matters to a label filter that a row has an error."""
    match found:
        case ast.AndFilter() | ast.OrFilter():
            return looks_at_errors(found.left) or looks_at_errors(found.right)
        case ast.StringLabelFilter():
            return found.matcher.name == ERROR
        case _:
            return isinstance(found, ast.IpFilter)  # keeps rows with an error


def _union(a: Labels, b: Labels) -> Labels:
    return None if a is None or b is None else a | b


def template_reads(template: Template | None) -> Labels:
    """Labels that a template may read; of one that does not parse, and so never runs, none."""
    if template is None:
        return frozenset()
    return None if template.reads_all else template.fields


def demand_before(stage: ast.Stage, after: Demand) -> Demand:
    """What is looked at in front of a stage, given what is looked at behind it."""
    labels = after.labels
    match stage:
        case ast.LabelFilterStage():
            errors = after.errors or looks_at_errors(stage.filter)
            return Demand(_union(labels, filter_names(stage.filter)), errors, after.lines)
        case ast.LineFormat():
            return Demand(_union(labels, template_reads(stage.parsed)), after.errors, after.lines)
        case ast.LabelFormat():
            for item in stage.items:
                reads = frozenset((item.value,)) if item.is_rename else template_reads(item.parsed)
                labels = _union(labels, reads)
            return Demand(labels, after.errors, after.lines)
        case ast.Drop() | ast.Keep():
            conditions = frozenset(item.name for item in stage.items if item.matcher is not None)
            return Demand(_union(_kept(stage, labels), conditions), after.errors, after.lines)
        case (
            ast.LineFilter()
            | ast.JsonParser()
            | ast.LogfmtParser()
            | ast.RegexpParser()
            | ast.PatternParser()
            | ast.Unpack()
            | ast.Decolorize()
        ):
            return after
        case _:
            assert_never(stage)


def demand_in_front(stages: Sequence[ast.Stage], after: Demand) -> Demand:
    """What is looked at in front of stages that run as they stand."""
    for stage in reversed(stages):
        after = demand_before(stage, after)
    return after


def _kept(stage: ast.Drop | ast.Keep, labels: Labels) -> Labels:
    """Labels still looked at: behind a keep only those it lists, behind a drop all but those."""
    names = frozenset(item.name for item in stage.items)
    if isinstance(stage, ast.Keep):
        errors = frozenset(("__error__", "__error_details__"))
        return names | errors if labels is None else labels & (names | errors)
    gone = frozenset(item.name for item in stage.items if item.matcher is None)
    return labels if labels is None else labels - gone


def reads_line(stage: ast.Stage) -> bool:
    """Whether the stage looks at the line."""
    if isinstance(stage, ast.LineFormat):
        return stage.parsed is not None and stage.parsed.reads_line
    if isinstance(stage, ast.LabelFormat):
        return any(item.parsed is not None and item.parsed.reads_line for item in stage.items)
    return isinstance(stage, PARSERS | ast.LineFilter | ast.Decolorize)


def drops_rows(stage: ast.Stage) -> bool:
    """Whether the stage can leave rows out."""
    return isinstance(stage, ast.LineFilter | ast.LabelFilterStage)
