"""Does a filter never deny a text that is there, and mostly one that is not?"""

from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from storage.block.ngrams import Ngrams
from storage.scan import Columns, ScanRequest
from storage.sorting import merge_batches
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.storage.blocks import block_of, small_groups

LINES = st.lists(
    st.none() | st.binary(max_size=40) | st.text("ab12 é", max_size=60).map(str.encode),
    max_size=12,
)


@settings(max_examples=examples(400))
@given(LINES, st.integers(0, 1 << 20))
@example([b"\x00\x00\x00", b"\xff\xff\xff"], 1)
def test_what_is_there_is_never_denied(lines: list[bytes | None], seed: int) -> None:
    random = Random(seed)
    found = Ngrams.of(Spans.of(lines))
    again = Ngrams.parse(found.to_bytes())
    for line in lines:
        if line is None:
            continue
        for _ in range(4):
            first, last = sorted((random.randrange(len(line) + 1), random.randrange(len(line) + 1)))
            assert found.may_hold(line[first:last]), line[first:last]
            assert again.may_hold(line[first:last]), "as before"


def test_runs_do_not_cross_lines_and_short_texts_are_anywhere() -> None:
    found = Ngrams.of(Spans.of([b"abc", b"xyz", b"de"]))
    assert not found.may_hold(b"bcxy")
    assert not found.may_hold(b"cde")
    assert found.may_hold(b"qq")
    assert found.may_hold(b"")
    assert not Ngrams.of(Spans.of([])).may_hold(b"abc")


def test_a_filter_of_random_runs_is_mostly_right() -> None:
    random = Random(7)
    lines = ["".join(random.choices("abcdefghij", k=80)).encode() for _ in range(60)]
    found = Ngrams.of(Spans.of(lines))
    wrong = sum(
        found.may_hold("".join(random.choices("klmnopqrst", k=6)).encode()) for _ in range(2000)
    )
    assert wrong < 40, "four absent runs, each taken for there once in six times"
    assert len(found.to_bytes()) <= 1024, "a thousand runs of four bits, to a power of two"


@pytest.mark.parametrize("size", [0, 1, 7, 9, 12, 1 << 22])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"a filter has no {size} bytes"):
        Ngrams.parse(bytes(size))


def test_plain_lines_that_are_read_twice_are_not_read_for_a_text_that_they_lack() -> None:
    texts = [b"alpha%d" % k for k in range(8)] + [b"omega%d" % k for k in range(8)]
    run = merge_batches([batch_of([({"app": "a"}, {}, k, t) for k, t in enumerate(texts)])])
    with small_groups(8):
        source = block_of(run, 1000)

    def found(*needles: bytes) -> list[int]:
        request = ScanRequest(
            streams=np.ones(1, np.bool_), start_ns=0, end_ns=99, columns=Columns(), needles=needles
        )
        row_groups = source.row_groups(request)
        for row_group in row_groups:
            source.read(row_group, request)
        pruned = request.stats.row_groups_pruned, request.stats.rows_pruned
        assert pruned == (2 - len(row_groups), 16 - 8 * len(row_groups))
        return [row_group.first_row for row_group in row_groups]

    assert found(b"omega3") == [0, 8], "nothing is known yet"
    assert found(b"omega3") == [0, 8], "it was read once"
    assert found(b"omega3") == [8]
    assert found(b"alpha", b"omega") == []
    assert found(b"om") == [0, 8]
    assert found() == [0, 8]
