"""Does metadata say the same in columns and in triples, whatever is done to it?"""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingester.enrich import metadata_of
from ingester.records import CODEC_ARROW, CODEC_TRIPLES, codec_of, decode_record_body
from ingester.streams import StreamResolver
from narfi.core.label_column import CodedColumn
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.batch_bytes import encode_batch
from storage.block.metadata import from_arrow, stored_names, to_arrow
from storage.journal.base import StoredRecord
from storage.metadata import FEW_NAMES, Metadata, concat_metadata
from tests.reference.metadata import Rows, pairs_of, rows_of, rows_of_columns
from tests.storage.batches import batch_of

NAMES = [f"name{k}" for k in range(3 * FEW_NAMES)]
row_of_pairs = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from("abcé")), max_size=6)
pushes = st.lists(row_of_pairs, min_size=1, max_size=60)


def made(rows: list[list[tuple[str, str]]]) -> tuple[Metadata, Rows]:
    """The metadata of a push, and its twin; of equal names in a row the last counts."""
    return metadata_of(pairs_of(rows), len(rows)), [dict(row) for row in rows]


@given(pushes)
def test_a_push_has_what_its_pairs_say(rows: list[list[tuple[str, str]]]) -> None:
    metadata, twin = made(rows)
    assert rows_of(metadata, len(rows)) == twin
    assert rows_of_columns(metadata, len(rows)) == twin
    present = {name for row in twin for name in row}
    assert metadata.names() == present
    assert metadata.counts() == {name: sum(name in row for row in twin) for name in present}
    for name in [*NAMES[:3], "unknown"]:
        column = metadata.get(name) or CodedColumn.absent(len(rows))
        texts = [column.texts[code] if code >= 0 else None for code in column.codes.tolist()]
        assert texts == [row.get(name) for row in twin]


@given(pushes, st.data())
def test_rows_and_names_are_taken(rows: list[list[tuple[str, str]]], data: st.DataObject) -> None:
    metadata, twin = made(rows)
    places = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=40))
    taken = metadata.take(np.array(places, np.int64))
    assert rows_of(taken, len(places)) == [twin[at] for at in places]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    kept = [row for row, keep in zip(twin, mask.tolist(), strict=True) if keep]
    assert rows_of(metadata.take(mask), len(kept)) == kept
    first, end = sorted(data.draw(st.tuples(*[st.integers(0, len(rows))] * 2)))
    assert rows_of(metadata.take(slice(first, end)), end - first) == twin[first:end]
    chosen = data.draw(st.sets(st.sampled_from(NAMES)))
    some = [{name: value for name, value in row.items() if name in chosen} for row in twin]
    assert rows_of(metadata.select(chosen), len(rows)) == some
    column = CodedColumn.constant(b"new", len(rows))
    replaced = rows_of(metadata.with_column("name1", column), len(rows))
    assert replaced == [{**row, "name1": "new"} for row in twin]


@given(st.lists(pushes, max_size=5))
def test_pushes_behind_one_another(parts: list[list[list[tuple[str, str]]]]) -> None:
    joined = concat_metadata([(made(rows)[0], len(rows)) for rows in parts])
    twin = [row for rows in parts for row in made(rows)[1]]
    assert rows_of(joined, len(twin)) == twin
    assert rows_of_columns(joined, len(twin)) == twin


@given(pushes)
def test_equal_rows_have_equal_codes(rows: list[list[tuple[str, str]]]) -> None:
    metadata, twin = made(rows)
    columns = [column.tolist() for column in metadata.row_codes()]
    codes = list(zip(*columns, strict=True)) if columns else [()] * len(rows)
    for a, first in enumerate(twin):
        for b, second in enumerate(twin):
            assert (codes[a] == codes[b]) == (first == second)


def test_bytes_that_are_no_text_become_spaces() -> None:
    rows = [[(f"name{k}", "good")] for k in range(40)]
    pairs = pairs_of([*rows, [("name1", "b\ufffdd")], [("common", "\ufffd")] * 2])
    found = rows_of(metadata_of(pairs, 42), 42)
    assert found[40] == {"name1": "b d"}
    assert found[41] == {"common": " "}
    assert found[7] == {"name7": "good"}


def many_names(count: int) -> LogBatch:
    """A name of its own in every row, and one that all have."""
    batch = batch_of([("a", k, b"line", {}) for k in range(count)])
    pairs = pairs_of([[(f"n{k}", f"v{k}"), ("all", "é")] for k in range(count)])
    metadata = metadata_of(pairs, count)
    return LogBatch(
        table=batch.table,
        stream=batch.stream,
        ts=batch.ts,
        rows=batch.rows,
        lines=batch.lines,
        metadata=metadata,
    )


@pytest.mark.parametrize(("count", "codec"), [(3, CODEC_ARROW), (100, CODEC_TRIPLES)])
def test_a_record_keeps_every_name(count: int, codec: int) -> None:
    batch = many_names(count)
    assert codec_of(batch) == codec
    record = StoredRecord(
        tenant=TenantId("t"),
        received_ns=0,
        codec=codec,
        decided=b"",
        body=encode_batch(batch),
        position=1,
        commit=1,
    )
    found = decode_record_body(record, Limits(), StreamResolver()).metadata
    assert found is not None
    assert batch.metadata is not None
    assert rows_of(found, count) == rows_of(batch.metadata, count)


@given(st.lists(pushes, min_size=1, max_size=4), st.integers(0, 50))
def test_a_file_of_a_block_keeps_every_name(
    parts: list[list[list[tuple[str, str]]]], more: int
) -> None:
    extra = [[(f"own{k}", "x")] for k in range(more)]
    joined = concat_metadata([(made(rows)[0], len(rows)) for rows in [*parts, [*extra, []]]])
    twin = [dict(row) for rows in [*parts, [*extra, []]] for row in rows]
    own, rest = stored_names(joined)
    assert len(own) <= 64
    half = len(twin) // 2
    for cut in (slice(0, half), slice(half, len(twin))):
        size = len(twin[cut])
        columns = to_arrow(joined.take(cut), own, rest, size)
        if columns:
            assert rows_of(from_arrow(pa.table(columns)), size) == twin[cut]
