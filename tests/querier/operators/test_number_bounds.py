"""Are numbers left unread where the footer says that none can pass, and only there?"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.parser import parse
from narfi.core.label_column import CodedColumn
from querier.operators.base import Demand
from querier.operators.frame import frame_of
from querier.operators.label_filter import _is_refuted
from querier.operators.pipeline import build_pipeline
from storage.block.files import FileReader
from storage.block.identity import Layout
from storage.lines.holes import HoleColumn
from storage.scan import Columns, LogSource, ScanRequest
from tests.reference.budget import examples
from tests.storage.batches import Entry
from tests.storage.test_sources import block_source

ROWS = 60
ENTRIES: list[Entry] = [
    ("a", n % 30, b'{"status":%d,"ms":%d.%d}' % (200 + n, n, n % 9 + 1), {}) for n in range(ROWS)
]
OPS = {
    ast.CompareOp.EQ: "=",
    ast.CompareOp.NE: "!=",
    ast.CompareOp.GT: ">",
    ast.CompareOp.GE: ">=",
    ast.CompareOp.LT: "<",
    ast.CompareOp.LE: "<=",
}


def kept(source: LogSource, condition: str) -> int:
    """Rows that pass `| json | <condition>`."""
    query = parse(f'{{app="a"}} | json | {condition}')
    assert isinstance(query, ast.LogQuery)
    pipeline = build_pipeline(query.stages, Demand(frozenset(), errors=True))
    request = ScanRequest(streams=np.ones(1, np.bool_), start_ns=0, end_ns=100, columns=Columns())
    frames = [
        pipeline.apply(frame_of(source.read(row_group, request)))
        for row_group in source.row_groups(request)
    ]
    return sum(len(frame) for frame in frames)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the columns that were read."""
    names: list[str] = []
    real = FileReader.column

    def column(self: FileReader, group: int, number: int) -> HoleColumn:
        assert self.index.template is not None
        names.append(self.index.template.holes[number].name)
        return real(self, group, number)

    monkeypatch.setattr(FileReader, "column", column)
    return names


@pytest.mark.parametrize("condition", ["status >= 500", "status = 7", "ms < 0.05", "ms > 60"])
def test_what_cannot_pass_is_not_read(tmp_path: Path, read: list[str], condition: str) -> None:
    assert kept(block_source(tmp_path, ENTRIES, 10, Layout(2)), condition) == 0
    assert read == []


@pytest.mark.parametrize(
    ("condition", "rows"), [("status >= 259", 1), ("status != 7", ROWS), ("status < 201", 1)]
)
def test_what_may_pass_is_read(tmp_path: Path, read: list[str], condition: str, rows: int) -> None:
    assert kept(block_source(tmp_path, ENTRIES, 10, Layout(2)), condition) == rows
    assert read == ["status"]


@settings(max_examples=examples(200))
@given(
    st.lists(st.integers(-9, 9), min_size=1, max_size=6),
    st.sampled_from(list(OPS)),
    st.integers(-10, 10),
)
def test_refuted_means_that_no_number_passes(
    numbers: list[int], op: ast.CompareOp, value: int
) -> None:
    bounds = (float(min(numbers)), float(max(numbers)))
    passing = [n for n in numbers if _passes(n, op, value)]
    assert not (_is_refuted(bounds, op, float(value)) and passing)
    assert not _is_refuted(None, op, float(value))
    assert CodedColumn.absent(3).bounds() is None


def _passes(number: int, op: ast.CompareOp, value: int) -> bool:
    text = {"=": "=="}.get(OPS[op], OPS[op])
    return bool(eval(f"{number} {text} {value}"))
