"""How do label texts become numbers? By kernel where plain, else once per distinct text.

Unparsable texts are reported with Go's words (reference/logql.md §7).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, U8, Mask
from narfi.core.errors import AppError
from narfi.core.kernels.numbers import ABSENT, SLOW, parse_durations, parse_numbers
from narfi.core.label_column import LabelColumn
from narfi.core.units import parse_float, parse_go_duration

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A value per row; `present` where the label is there, `failed` codes index `messages`.

    Code 0 of `failed` means that the value is good (or that there is no label).
    """

    values: F64
    present: Mask
    failed: I32
    messages: tuple[str, ...]


def plain_numbers(column: LabelColumn, convert: Callable[[str], float] = parse_float) -> Numbers:
    """Go's ParseFloat of each row; `convert` is asked about unusual texts."""
    typed = column.numbers()
    if typed is not None:
        size = len(typed)
        return Numbers(typed, np.ones(size, np.bool_), np.zeros(size, np.int32), ("",))
    spans = column.spans
    values, status = np.zeros(len(spans)), np.empty(len(spans), np.uint8)
    parse_numbers(spans.data, spans.start, spans.length, values, status)
    return _completed(column, values, status, convert)


def durations(column: LabelColumn, unit_ns: int) -> Numbers:
    """Go's ParseDuration of each row, in units of so many nanoseconds."""
    spans = column.values if column.is_encoded else column.spans
    ns, status = np.zeros(len(spans), np.int64), np.empty(len(spans), np.uint8)
    parse_durations(spans.data, spans.start, spans.length, ns, status)
    values = ns / unit_ns
    if column.is_encoded:  # code -1 is the last place
        values = np.append(values, 0.0)[column.codes]
        status = np.append(status, np.uint8(ABSENT))[column.codes]
    return _completed(column, values, status, lambda text: parse_go_duration(text) / unit_ns)


def _completed(
    column: LabelColumn, values: F64, status: U8, convert: Callable[[str], float]
) -> Numbers:
    """The values of a kernel, and of texts that it left what `convert` says."""
    present = status != ABSENT
    slow = status == SLOW
    if not slow.any():
        return Numbers(values, present, np.zeros(len(values), np.int32), ("",))
    rows = np.flatnonzero(slow)
    rest = converted(column.take(rows).compact(), convert)
    values[rows] = rest.values
    failed = np.zeros(len(values), np.int32)
    failed[rows] = rest.failed
    return Numbers(values, present, failed, rest.messages)


def converted(column: LabelColumn, convert: Callable[[str], float]) -> Numbers:
    """A conversion applied once per distinct text."""
    texts = column.texts
    values, failed = np.zeros(len(texts) + 1), np.zeros(len(texts) + 1, np.int32)
    messages: dict[str, int] = {"": 0}
    for code, text in enumerate(texts):
        try:
            values[code] = convert(text)
        except AppError as error:
            failed[code] = messages.setdefault(error.message, len(messages))
    codes = column.codes
    return Numbers(values[codes], codes >= 0, failed[codes], tuple(messages))
