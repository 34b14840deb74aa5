"""Are streams told apart by the labels of a grouping, however many of a table are asked for?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.labels import Labels
from querier.metrics import series
from querier.metrics.series import number_streams
from storage import batch
from tests.storage.test_stream_labels import LABELS, NAMES, tables


@given(LABELS, st.sets(st.sampled_from(NAMES)), st.data())
def test_streams_are_numbered_by_their_labels(
    labels: list[Labels], names: set[str], data: st.DataObject
) -> None:
    wanted = data.draw(st.lists(st.sampled_from(range(len(labels))), min_size=1, unique=True))
    ordinals = np.array(sorted(wanted), np.int64)
    few_values, most = data.draw(st.sampled_from([0, 2, 4096])), data.draw(st.sampled_from([1, 4]))
    few_names = data.draw(st.integers(0, 8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series, "FEW_VALUES", few_values)
        patch.setattr(batch, "MOST", most)
        patch.setattr(batch, "FEW_NAMES", few_names)
        patch.setattr(series, "FEW_NAMES", few_names)
        for table in tables(labels):
            for _ in range(2):  # what a table remembers is the same again
                numbers, found = number_streams(table, sorted(names), ordinals)
                chosen = [
                    tuple(pair for pair in labels[ordinal].pairs if pair[0] in names)
                    for ordinal in ordinals.tolist()
                ]
                assert [found[number] for number in numbers.tolist()] == chosen
                assert sorted(found) == sorted(set(chosen))
