"""Are plain lines that were read twice left out where they cannot hold a text, and no others?"""

import numpy as np
import pytest

from storage.block.identity import Layout
from storage.scan import Columns, ScanRequest
from storage.sorting import merge_batches
from tests.reference.frames import batch_of
from tests.storage.blocks import LAYOUTS, block_of, small_groups


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_plain_lines_that_are_read_twice_are_not_read_for_a_text_that_they_lack(
    layout: Layout,
) -> None:
    texts = [b"alpha%d" % k for k in range(8)] + [b"omega%d" % k for k in range(8)]
    run = merge_batches([batch_of([({"app": "a"}, {}, k, t) for k, t in enumerate(texts)])])
    with small_groups(8):
        source = block_of(run, 1000, layout=layout)

    def found(*needles: bytes) -> list[int]:
        request = ScanRequest(
            streams=np.ones(1, np.bool_), start_ns=0, end_ns=99, columns=Columns(), needles=needles
        )
        row_groups = source.row_groups(request)
        for row_group in row_groups:
            lines = source.read(row_group, request).lines
            assert lines is not None
            lines.spans()  # of format 3 they are read when they are looked at
        pruned = request.stats.row_groups_pruned, request.stats.rows_pruned
        assert pruned == (2 - len(row_groups), 16 - 8 * len(row_groups))
        return [row_group.first_row for row_group in row_groups]

    assert found(b"omega3") == [0, 8], "nothing is known yet"
    assert found(b"omega3") == [0, 8], "it was read once"
    assert found(b"omega3") == [8]
    assert found(b"alpha", b"omega") == []
    assert found(b"om") == [0, 8]
    assert found() == [0, 8]
