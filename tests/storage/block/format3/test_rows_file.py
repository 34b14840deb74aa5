"""Do times come back to the nanosecond, in whichever unit they are stored?"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.columns import I64
from storage.block.format3.parquet import single
from storage.block.format3.rows_file import TIME_COLUMNS, encode_rows, times_of
from storage.metadata import Metadata

MS = st.integers(-(2**62) // 10**6, 2**62 // 10**6).map(lambda ms: ms * 10**6)


def read(ts: I64, *, pack: bool = False) -> tuple[pa.Table, I64]:
    """The file, and its times."""
    buffer = encode_rows(np.zeros(len(ts), np.int32), ts, Metadata(), 1, pack_times=pack)
    table = pq.read_table(pa.BufferReader(buffer))
    names = [name for name in TIME_COLUMNS if name in table.schema.names]
    return table, times_of([(name, single(table.column(name))) for name in names])


@given(st.lists(MS | st.integers(-(2**62), 2**62), min_size=1, max_size=60), st.booleans())
def test_times_come_back(times: list[int], pack: bool) -> None:
    ts = np.array(times, np.int64)
    assert read(ts, pack=pack)[1].tolist() == times


def test_bursts_take_less_where_times_are_packed() -> None:
    ts = np.cumsum(np.where(np.arange(9000) % 90, 7, 10**12)) + 1
    plain, packed = (
        len(encode_rows(np.zeros(len(ts), np.int32), ts, Metadata(), 1, pack_times=pack))
        for pack in (False, True)
    )
    assert packed < plain / 2


@pytest.mark.parametrize(
    ("ns", "wanted"),
    [([0, 0], ["ts"]), ([0, 7], ["ts", "ts_ns"]), ([7, 7], ["ts"])],
    ids=["ms", "both", "ns"],
)
def test_the_rest_is_stored_where_it_pays(ns: list[int], wanted: list[str]) -> None:
    ts = np.arange(100, dtype=np.int64) * 1_000_000 + np.resize(ns, 100)
    table, again = read(ts)
    assert [name for name in table.schema.names if name in TIME_COLUMNS] == wanted
    assert table.schema.field("ts").type.unit == ("ns" if ns[0] else "ms")
    assert again.tolist() == ts.tolist()
