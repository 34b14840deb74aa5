"""In which order do stages run? As written, but for filters that may come first unnoticed.

Every stage sees the line and the labels that the stages written before it left. A filter moves in
front of a stage only where it would see the same there and the stage does the same behind it, so
that fewer rows are parsed and fewer templates rendered. Invariant: filters keep their order.
"""

from collections.abc import Sequence
from typing import assert_never

from logql import ast
from narfi.core.text.template.parser import Template
from querier.operators.frame import ERROR, ERROR_DETAILS
from querier.operators.reads import (
    LINE_CHANGERS,
    filter_names,
    looks_at_errors,
    template_reads,
)

_ERRORS = frozenset((ERROR, ERROR_DETAILS))


def run_order(stages: Sequence[ast.Stage]) -> tuple[ast.Stage, ...]:
    """The stages as they run."""
    return _line_filters_first(_label_filters_first(stages))


def _label_filters_first(stages: Sequence[ast.Stage]) -> list[ast.Stage]:
    """Label filters in front of formats and the like that have nothing to do with them."""
    result: list[ast.Stage] = []
    for stage in stages:
        place = len(result)
        if isinstance(stage, ast.LabelFilterStage) and not looks_at_errors(stage.filter):
            names = filter_names(stage.filter)
            while place and _leaves_alone(result[place - 1], names):
                place -= 1
        result.insert(place, stage)
    return result


def _leaves_alone(stage: ast.Stage, names: frozenset[str]) -> bool:
    """Whether a filter on the labels decides the same in front of the stage.

    An error that the filter sets is overwritten by one of the stage, on whichever side it stands;
    but the stage must not look at errors, nor clear them.
    """
    match stage:
        case ast.Decolorize():
            return True
        case ast.LineFormat():
            return _ignores_errors(stage.parsed)
        case ast.LabelFormat():
            touched = {item.name for item in stage.items}
            touched |= {item.value for item in stage.items if item.is_rename}
            templates = [item.parsed for item in stage.items if not item.is_rename]
            return not touched & (names | _ERRORS) and all(
                _ignores_errors(template) for template in templates
            )
        case ast.Drop():
            return not {item.name for item in stage.items} & (names | _ERRORS)
        case ast.Keep():
            return names <= {item.name for item in stage.items if item.matcher is None}
        case (
            ast.LineFilter()
            | ast.LabelFilterStage()
            | ast.JsonParser()
            | ast.LogfmtParser()
            | ast.RegexpParser()
            | ast.PatternParser()
            | ast.Unpack()
        ):
            return False
        case _:
            assert_never(stage)


def _ignores_errors(template: Template | None) -> bool:
    reads = template_reads(template)
    return reads is not None and not reads & _ERRORS


def _line_filters_first(stages: Sequence[ast.Stage]) -> tuple[ast.Stage, ...]:
    """Line filters at the front of each run of stages that neither change lines nor filter."""
    result: list[ast.Stage] = []
    run: list[ast.Stage] = []
    for stage in stages:
        if isinstance(stage, ast.LabelFilterStage | LINE_CHANGERS):
            result += _filters_first(run)
            result.append(stage)
            run = []
        else:
            run.append(stage)
    return tuple(result + _filters_first(run))


def _filters_first(run: list[ast.Stage]) -> list[ast.Stage]:
    filters = [stage for stage in run if isinstance(stage, ast.LineFilter)]
    return filters + [stage for stage in run if not isinstance(stage, ast.LineFilter)]
