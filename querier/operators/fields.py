"""How do parsed fields become labels? Collisions get `_extracted`, the first value wins (§4.1)."""

from collections.abc import Mapping, Sequence

import numpy as np

from narfi.core.columns import I32, Mask, Spans
from narfi.core.kernels.pairs import place_pairs
from narfi.core.label_column import CodedColumn, LabelColumn, SpansColumn
from narfi.core.text.label_names import EXTRACTED_SUFFIX
from querier.operators.frame import Frame

PLACE_BYTES = 12
"""Of a label in a row: where its text begins, and its length."""

TEXT_BYTES = 60
"""Of a Python text beside its characters."""


def text_bytes(column: LabelColumn) -> int:
    """What the distinct texts of a column take as Python texts."""
    return column.values.nbytes() + len(column.values) * TEXT_BYTES


def add_fields(frame: Frame, columns: Mapping[str, LabelColumn], *, replace: bool = False) -> Frame:
    """Set parsed labels; a name that the stream or the metadata has goes to `<name>_extracted`.

    A label that was parsed before stays, unless `replace` (expression forms).
    """
    placed: dict[str, LabelColumn] = {}
    for name, column in columns.items():
        taken = taken_rows(frame, name)
        if taken is None or not (clash := taken & column.present()).any():
            _place(placed, name, column)
            continue
        _place(placed, name + EXTRACTED_SUFFIX, column.without(~clash))
        if not clash.all():
            _place(placed, name, column.without(clash))
    if not replace:
        for name, column in placed.items():
            before = frame.parsed.get(name)
            if before is not None:
                placed[name] = column.without(before.present())
    return frame.with_parsed(placed)


def _place(placed: dict[str, LabelColumn], name: str, column: LabelColumn) -> None:
    known = placed.get(name)
    placed[name] = column if known is None else known.over(column)


def taken_rows(frame: Frame, name: str) -> Mask | None:
    """Rows whose stream or metadata has the name; None when there is none."""
    stream, metadata = frame.original_stream_label(name), frame.metadata.get(name)
    if stream is None:
        return None if metadata is None else metadata.present()
    return stream.present() if metadata is None else stream.present() | metadata.present()


def set_errors(frame: Frame, error: str, codes: I32 | np.ndarray, details: Sequence[str]) -> Frame:
    """Give rows with a code above 0 the error, with their code's details; beats earlier ones."""
    failed = codes > 0
    if not failed.any():
        return frame
    column: LabelColumn = CodedColumn(
        codes=np.where(failed, np.int32(0), np.int32(-1)).astype(np.int32),
        values=Spans.of([error.encode()]),
    )
    told = np.array([bool(text) for text in details])[codes]
    texts: LabelColumn = CodedColumn(
        codes=np.where(failed & told, codes.astype(np.int32), np.int32(-1)),
        values=Spans.of(text.encode("utf-8", "surrogateescape") for text in details),
    )
    before, before_details = frame.error, frame.details
    if before_details is not None:
        texts = texts.over(before_details)  # those of an earlier error stay (a quirk)
    if before is not None:
        column = column.over(before)
    return frame.with_errors(column, texts)


def add_pairs(
    frame: Frame, pair_row: I32, pair_name: I32, names: Sequence[str], values: Spans
) -> Frame:
    """Set parsed labels from (row, name number, value) in the order of the lines; number -1: none.

    Collisions are renamed pair by pair, so that of `x_extracted` and a renamed `x` in one line the
    first counts.
    """
    numbers = {name: number for number, name in enumerate(names)}
    final = pair_name.copy()
    for number, name in enumerate(names):
        taken = taken_rows(frame, name)
        if taken is not None:
            renamed = numbers.setdefault(name + EXTRACTED_SUFFIX, len(numbers))
            final[(pair_name == number) & taken[pair_row]] = renamed
    frame.account.charge(len(numbers) * len(frame) * PLACE_BYTES)
    columns = scatter(len(frame), pair_row, final, len(numbers), values)
    placed: dict[str, LabelColumn] = {}
    for name, number in numbers.items():
        column, before = columns[number], frame.parsed.get(name)
        if column is None:
            continue
        if before is not None:
            column = column.without(before.present())
            if not column.present().any():
                continue
        placed[name] = column
    return frame.with_parsed(placed)


def scatter(
    rows: int, pair_row: I32, pair_name: I32, names: int, values: Spans
) -> list[LabelColumn | None]:
    """A column per name number from pairs, None for a name without any.

    Of several pairs of a row and name the first counts; those of name -1 are none.
    """
    start, length = np.empty((names, rows), np.int64), np.full((names, rows), -1, np.int32)
    count = np.zeros(names, np.int64)
    place_pairs(pair_row, pair_name, values.start, values.length, start, length, count)
    return [
        SpansColumn(Spans(values.data, start[name], length[name])) if found else None
        for name, found in enumerate(count.tolist())
    ]


def with_side(spans: Spans, side: np.ndarray, used: int) -> np.ndarray:
    """The data with rewritten bytes behind it (starts beyond the data mean those)."""
    return spans.data if used == 0 else np.concatenate([spans.data, side[:used]])
