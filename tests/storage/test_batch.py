"""Does a table say of some streams what its columns say of each?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.labels import Labels
from tests.storage.test_stream_labels import LABELS, tables


@given(LABELS, st.data())
def test_sums_and_fingerprints_of_some_streams(labels: list[Labels], data: st.DataObject) -> None:
    chosen = [ordinal for ordinal in range(len(labels)) if data.draw(st.booleans())]
    streams = np.isin(np.arange(len(labels)), chosen)
    for table in tables(labels):
        assert table.count_rows(streams) == sum(int(table.rows[one]) for one in chosen)
        assert table.count_line_bytes(streams) == sum(int(table.line_bytes[one]) for one in chosen)
        fingerprints = [labels[one].fingerprint() for one in chosen]
        assert table.fingerprints_of(streams).tolist() == fingerprints


@given(LABELS)
def test_how_far_a_table_reaches(labels: list[Labels]) -> None:
    for table in tables(labels):
        assert table.reach == (min(table.first_ts.tolist()), max(table.last_ts.tolist()))
