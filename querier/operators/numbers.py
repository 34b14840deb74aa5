"""How do label texts become numbers? By kernel where plain, else once per distinct text.

Unparsable texts are reported with Go's words (reference/logql.md §7).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, Mask
from narfi.core.errors import AppError
from narfi.core.kernels.numbers import ABSENT, SLOW, parse_numbers
from narfi.core.label_column import LabelColumn
from narfi.core.units import parse_float

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
    present = status != ABSENT
    slow = status == SLOW
    if not slow.any():
        return Numbers(values, present, np.zeros(len(spans), np.int32), ("",))
    rows = np.flatnonzero(slow)
    rest = converted(column.take(rows), convert)
    values[rows] = rest.values
    failed = np.zeros(len(spans), np.int32)
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
