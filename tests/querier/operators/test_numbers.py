"""Durations of many rows are those of each text, in whatever kind of column they stand."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from narfi.core.clock import NS_PER_S
from narfi.core.columns import Spans
from narfi.core.label_column import CodedColumn, LabelColumn, SpansColumn
from narfi.core.units import UnitError, parse_go_duration
from querier.operators.numbers import durations

_UNITS = st.sampled_from(["ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "", "sm"])
_DIGITS = st.text("0123456789", max_size=18)
_PARTS = st.builds("{}{}{}{}".format, _DIGITS, st.sampled_from(["", "."]), _DIGITS, _UNITS)
_TEXTS = st.builds(
    lambda sign, parts: sign + "".join(parts),
    st.sampled_from(["", "-", "+", "--"]),
    st.lists(_PARTS, max_size=3),
)


def expected(texts: list[str | None], unit_ns: int) -> list[tuple[float, bool, str]]:
    """(value, whether it is there, the error) of each row, text by text."""
    found = []
    for text in texts:
        try:
            value = 0.0 if text is None else parse_go_duration(text) / unit_ns
        except UnitError as error:
            found.append((0.0, True, error.message))
        else:
            found.append((value, text is not None, ""))
    return found


@given(
    st.lists(st.none() | _TEXTS | st.text(max_size=5), max_size=12),
    st.sampled_from([1, NS_PER_S]),
    st.booleans(),
)
@example(["1.234567ms", "2m3.5s", "0", ".5s", "1.s", "9007199s", "9007200s", None], NS_PER_S, True)
@example(["0.1ns", "999999999999999h", "-3.999999999us", "1e3s", "1.2.3s", "5"], 1, False)
def test_durations_of_rows_are_those_of_the_texts(
    texts: list[str | None], unit_ns: int, coded: bool
) -> None:
    spans = Spans.of(None if text is None else text.encode("utf-8", "replace") for text in texts)
    column: LabelColumn = SpansColumn(spans)
    if coded:
        column = CodedColumn(column.codes, column.values)
    told = [None if t is None else t.encode("utf-8", "replace").decode() for t in texts]
    found = durations(column, unit_ns)
    values = np.where(found.failed, 0.0, found.values).tolist()
    messages = [found.messages[code] for code in found.failed.tolist()]
    rows = zip(values, found.present.tolist(), messages, strict=True)
    assert list(rows) == expected(told, unit_ns)
