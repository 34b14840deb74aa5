"""`| unwrap conv(label)`: which number does an entry carry? (reference/logql.md §10.1)."""

import numpy as np
from numpy.typing import NDArray

from logql.ast import Conversion, Unwrap
from narfi.core.clock import NS_PER_S
from narfi.core.label_column import LabelColumn
from narfi.core.units import parse_bytes
from querier.operators.fields import set_errors
from querier.operators.frame import Frame
from querier.operators.label_filter import judge, with_errors
from querier.operators.numbers import Numbers, converted, durations, plain_numbers

ERROR_NAME = "SampleExtractionErr"


def unwrap_values(frame: Frame, unwrap: Unwrap) -> tuple[Frame, NDArray[np.float64]]:
    """The rows that carry a number, and the numbers.

    A missing or empty label skips the row; a failed conversion gives 0 and an error, which the
    filters behind the unwrap may still drop.
    """
    column = frame.label(unwrap.label)
    if column.numbers() is None:
        filled = column.spans.length > 0
        if not filled.all():
            rows = np.flatnonzero(filled)
            frame, column = frame.take(rows), column.take(rows)
    numbers = _numbers(column, unwrap.conversion)
    values = np.where(numbers.failed > 0, 0.0, numbers.values)
    frame = set_errors(frame, ERROR_NAME, numbers.failed, numbers.messages)
    for condition in unwrap.post_filters:
        verdict = judge(frame, condition)
        frame = with_errors(frame, verdict)
        if not verdict.keep.all():
            rows = np.flatnonzero(verdict.keep)
            frame, values = frame.take(rows), values[rows]
    return frame, values


def _numbers(column: LabelColumn, conversion: Conversion) -> Numbers:
    match conversion:
        case Conversion.NUMBER:
            return plain_numbers(column)
        case Conversion.BYTES:
            return converted(column, lambda text: float(parse_bytes(text)))
        case _:
            return durations(column, NS_PER_S)
