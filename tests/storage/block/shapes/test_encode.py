"""Does a fault of the encoder cost compression, never a line?"""

from pathlib import Path

import numpy as np
import pytest

from narfi.core.columns import Spans
from storage.block.metrics import REFUSED_SHAPES
from storage.block.shapes import encode
from storage.block.shapes.encode import encode_shapes
from storage.block.shapes.infer import InferredHole, Part, infer
from storage.lines.holes import IntegerColumn
from storage.scan import Columns
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of, entries_of
from tests.storage.test_sources import block_source

LINES = [b"took %d ms" % n for n in range(100)]


def refused() -> float:
    """The counter."""
    return float(REFUSED_SHAPES._value.get())


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers come back one too large."""
    real = infer

    def wrong(*arguments: object) -> Part:
        part = real(*arguments)  # type: ignore[arg-type]
        holes = tuple(
            InferredHole(found.hole, IntegerColumn(found.column.values + 1, found.column.type))
            for found in part.holes
            if isinstance(found.column, IntegerColumn)
        )
        return Part(part.constants, holes)

    monkeypatch.setattr(encode, "infer", wrong)


@pytest.mark.usefixtures("broken")
def test_a_shape_that_gives_other_lines_back_is_refused() -> None:
    before = refused()
    assert list(encode_shapes(Spans.of(LINES), 10)) == []
    assert refused() == before + 1


@pytest.mark.usefixtures("broken")
def test_its_lines_are_stored_plain(tmp_path: Path) -> None:
    entries: list[Entry] = [("a", n, line, {}) for n, line in enumerate(LINES)]
    source = block_source(tmp_path, entries, 10)
    batch = source.fetch(np.arange(len(LINES)), Columns())
    assert entries_of(batch) == entries_of(merge_batches([batch_of(entries)]))


def test_a_crash_in_the_encoder_is_no_crash_of_the_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(encode, "infer", fail)
    before = refused()
    assert list(encode_shapes(Spans.of(LINES), 10)) == []
    assert refused() == before + 1


def test_without_a_fault_nothing_is_refused() -> None:
    before = refused()
    (shape,) = encode_shapes(Spans.of(LINES), 10)
    assert len(shape.rows) == len(LINES)
    assert refused() == before
