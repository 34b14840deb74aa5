"""Which level has a line whose level nobody told, but which has an HTTP status?

5xx is `error`, 4xx `warn`, less `info`. The status is a field of a usual name, or what stands
behind the quoted request of an access line.
"""

from collections.abc import Iterable

import numpy as np

from logql import ast
from narfi.core.columns import Spans
from narfi.core.label_column import CodedColumn, LabelColumn
from narfi.core.matchers import Matcher, MatchOp
from querier.explore.fields import parsers_for, with_parser
from querier.explore.question import Question
from querier.operators.frame import Frame

NOT_TOLD = (b"", b"unknown")
"""Values of a level that say nothing."""
STATUS_NAMES = (
    *("status", "status_code", "statusCode", "http_status", "http_status_code"),
    *("http_response_status_code", "response_status", "response_code", "sc_status"),
)
ACCESS_STATUS = "narfi_access_status"
ACCESS_LINE = ast.PatternParser(f'<_>" <{ACCESS_STATUS}> <_>')
_LEVELS = (b"info", b"warn", b"error")


def without_level(query: ast.LogQuery, name: str) -> ast.LogQuery:
    """Its rows of which the label does not tell the level."""
    none, unknown = (
        ast.StringLabelFilter(Matcher(name, MatchOp.EQ, value.decode())) for value in NOT_TOLD
    )
    stage = ast.LabelFilterStage(ast.OrFilter(none, unknown))
    return ast.LogQuery(query.selector, (*query.stages, stage))


def with_status(question: Question) -> ast.LogQuery:
    """The query with what gives its rows a status: one parser, and one for access lines."""
    found = parsers_for(question, STATUS_NAMES)
    parser = next((one for one in found.values() if one is not None), None)
    query = with_parser(question.query, parser)
    return ast.LogQuery(query.selector, (*query.stages, ACCESS_LINE))


def level_of(frame: Frame, name: str) -> LabelColumn:
    """The label of a frame, and where it is missing or unknown, the level by the status."""
    label = frame.shown(name).compact()
    values = label.values
    is_known = np.array([*(value not in NOT_TOLD for value in values.to_list()), False], np.bool_)[
        label.codes
    ]
    if is_known.all():
        return label
    derived = CodedColumn.absent(len(frame))
    for status in _statuses(frame):
        derived = CodedColumn(
            np.where(derived.codes < 0, _levels(status), derived.codes).astype(np.int32),
            Spans.of(_LEVELS),
        )
    return derived.without(is_known).over(label)


def _statuses(frame: Frame) -> Iterable[LabelColumn]:
    for name in (*STATUS_NAMES, ACCESS_STATUS):
        column = frame.label(name)
        if column.is_encoded or column.present().any():
            yield column.compact()


def _levels(status: LabelColumn) -> np.ndarray:
    """A place in `_LEVELS` for each row, -1 where the text is no status."""
    digits = {str(code).encode(): max(0, code // 100 - 3) for code in range(100, 600)}
    places = [digits.get(value or b"", -1) for value in status.values.to_list()]
    return np.array([*places, -1], np.int32)[status.codes]
