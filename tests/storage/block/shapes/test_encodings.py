"""Is the smallest encoding found, once?"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from narfi.core.columns import I64, Spans
from narfi.core.tenant import TenantId
from storage.block.shapes import encodings as module
from storage.block.shapes.encodings import (
    DELTA,
    DICTIONARY,
    MIN_TRIED,
    PLAIN,
    SPLIT,
    Encodings,
    is_few,
    smallest,
)
from storage.lines.holes import BytesColumn, HoleColumn, IntegerColumn
from storage.lines.template import HoleKind, HoleType

FIELD = (TenantId("t"), "app", "v1")
NUMBER = HoleType(kind=HoleKind.NUMBER)


def drawn(*, low: int, high: int, rows: int = 4096) -> I64:
    """Random numbers."""
    return np.random.default_rng(7).integers(low, high, rows)


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        (np.arange(5000) * 1000 + drawn(low=0, high=30, rows=5000), DELTA),
        (drawn(low=0, high=1 << 40), SPLIT),
        (drawn(low=0, high=3) * 123_456_789_123, DICTIONARY),
    ],
)
def test_what_numbers_are_decides(values: I64, encoding: str) -> None:
    assert smallest(values) == encoding


def test_no_other_one_is_smaller() -> None:
    for high in (2, 100, 5000, 1 << 20, 1 << 60):
        page = drawn(low=0, high=high)
        sizes = module.page_sizes(pa.array(page), (DELTA, SPLIT, PLAIN, DICTIONARY))
        if not is_few(page):
            del sizes[DICTIONARY]
        assert sizes[smallest(page)] == min(sizes.values())


@pytest.mark.parametrize("encoding", [DELTA, SPLIT, PLAIN, DICTIONARY])
def test_sizes_are_those_of_files(encoding: str) -> None:
    """But for the footer, which says the same of every encoding."""
    array = pa.array(drawn(low=0, high=900))
    sizes = module.page_sizes(array, (DELTA, SPLIT, PLAIN, DICTIONARY))
    sink = pa.BufferOutputStream()
    few = encoding == DICTIONARY
    pq.write_table(
        pa.table({"v": array}),
        sink,
        use_dictionary=few,
        column_encoding=None if few else {"v": encoding},
        compression="zstd",
        compression_level=module.LEVEL,
        store_schema=False,
    )
    assert 0 < sink.tell() - sizes[encoding] < 400


def test_addresses_are_tried_as_they_are_stored() -> None:
    assert smallest(drawn(low=0, high=1 << 32), narrow=True) in (SPLIT, PLAIN)


@pytest.mark.parametrize("high", [1, 2, 10, 1000])
def test_few(high: int) -> None:
    values = drawn(low=0, high=high, rows=400)
    assert is_few(values) == (len(set(values.tolist())) <= 100)
    assert is_few(values[:1]) is False


def test_a_field_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def counting(values: I64, *, narrow: bool) -> str:
        tried.append(len(values))
        return smallest(values, narrow=narrow)

    monkeypatch.setattr(module, "smallest", counting)
    known = Encodings()

    def ask(field: tuple[TenantId, str, str], column: HoleColumn) -> str | None:
        return known.of(field, column)

    few = IntegerColumn(drawn(low=0, high=3), NUMBER)
    assert ask(FIELD, few) == ask(FIELD, few) == DICTIONARY
    assert len(tried) == 1
    scaled = HoleType(kind=HoleKind.NUMBER, scale=2)
    ask(FIELD, IntegerColumn(few.values, scaled))  # another type
    ask((TenantId("u"), "app", "v1"), few)
    ask((FIELD[0], "other", "v1"), few)
    assert len(tried) == len(known) == 4


def test_few_values_are_not_tried() -> None:
    known = Encodings()
    few = IntegerColumn(np.zeros(MIN_TRIED - 1, np.int64), NUMBER)
    assert known.of(FIELD, few) == DICTIONARY
    assert known.of(FIELD, IntegerColumn(np.arange(MIN_TRIED - 1), NUMBER)) == DELTA
    assert len(known) == 0


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        (drawn(low=0, high=1 << 40, rows=1000), SPLIT),
        (drawn(low=0, high=1 << 40, rows=255), DELTA),
        (drawn(low=0, high=50, rows=1000), DICTIONARY),
        (drawn(low=0, high=900, rows=1000) + np.arange(1000) * 1000, DELTA),
        (np.arange(1), DELTA),
    ],
)
def test_few_values_are_guessed(values: I64, encoding: str) -> None:
    known = Encodings()
    assert known.of(FIELD, IntegerColumn(values, NUMBER)) == encoding
    assert len(known) == 0


def test_texts_have_nothing_to_decide() -> None:
    assert Encodings().of(FIELD, BytesColumn(Spans.of([b"a"]))) is None


def test_what_was_not_used_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    known = Encodings()
    column = IntegerColumn(drawn(low=0, high=3), NUMBER)
    for name in ("a", "b", "a", "c"):
        known.of((FIELD[0], "app", name), column)
    tried: list[I64] = []

    def counting(values: I64, *, narrow: bool) -> str:
        tried.append(values)
        return PLAIN if narrow else DELTA

    monkeypatch.setattr(module, "smallest", counting)
    assert known.of((FIELD[0], "app", "a"), column) == DICTIONARY
    assert known.of((FIELD[0], "app", "b"), column) == DELTA
    assert len(tried) == 1
