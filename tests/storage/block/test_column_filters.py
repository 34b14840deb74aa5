"""Is what was learnt of columns never the reason for a wrong answer, and is it learnt at all?"""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from storage.block.column_filters import NOTHING, filters_of, note_searched
from storage.block.identity import Layout
from storage.block.reader import BlockSource
from storage.cache import ByteCache
from storage.scan import Columns, ScanRequest
from tests.reference.budget import examples
from tests.storage.batches import Entry, batch_of
from tests.storage.blocks import opened, stored

NAMES = ("alpha", "beta", "gamma-ray", "delta/é", "x")
LINES = [
    b"user %b did %d of %b"
    % (NAMES[n % 5].encode(), n, b"thing-%x" % (n * 7919) if n % 3 else b"no-%d" % (n * 104_729))
    for n in range(400)
] + [b"k=%d state=%b" % (n, NAMES[n % 4].encode()) for n in range(300)]
ENTRIES: list[Entry] = [("app", n, line, {}) for n, line in enumerate(LINES)]
TEXTS = st.one_of(
    st.sampled_from([b"alpha did", b"gamma", b"thing-1e", b"amm", b"state=beta", b"of no", b"qqq"]),
    st.sampled_from([b"104729", b"1047290", b"00000", b"7777777", b"4189160", b"314187", b"12"]),
    st.sampled_from(LINES).flatmap(
        lambda line: st.tuples(st.integers(0, len(line)), st.integers(1, 12)).map(
            lambda cut: line[cut[0] : cut[0] + cut[1]] or b"e"
        )
    ),
    st.binary(min_size=1, max_size=5),
)


def asked(source: BlockSource, needle: bytes) -> tuple[list[int], int]:
    """(rows whose line has it, row groups that were read for them)."""
    request = ScanRequest(
        streams=np.ones(len(source.table.labels), np.bool_),
        start_ns=0,
        end_ns=10**9,
        columns=Columns(metadata=False),
        needles=(needle,),
    )
    found, groups = list[int](), source.row_groups(request)
    for group in groups:
        batch = source.read(group, request)
        assert batch.lines is not None
        found += batch.rows[batch.lines.contains(needle)].tolist()
    return sorted(found), len(groups)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_answers_are_those_of_the_lines_however_often_they_are_asked(needles: list[bytes]) -> None:
    for needle in needles * 3:
        expected = [row for row, line in enumerate(LINES) if needle in line]
        assert asked(SOURCE, needle)[0] == expected, needle


def test_what_no_column_holds_is_not_read_once_that_is_known() -> None:
    source = opened(*BLOCK)
    groups = [asked(source, b"zeta-wave")[1] for _ in range(3)]
    assert groups[0] > 0
    assert groups[2] == 0
    assert asked(source, b"gamma-ray")[1] > 0


def test_a_column_is_worth_a_filter_the_second_time() -> None:
    cache: ByteCache[object] = ByteCache(1 << 20)
    texts = {1: Spans.of([b"abcdef", b"xyz"]), 2: Spans.of([b"other"])}
    note_searched(cache, "key", [1, 2], texts.__getitem__)
    assert filters_of(cache, "key").may_hold(1, b"nowhere"), "nothing is known yet"
    note_searched(cache, "key", [1], texts.__getitem__)
    found = filters_of(cache, "key")
    assert not found.may_hold(1, b"nowhere")
    assert found.may_hold(1, b"cde")
    assert found.may_hold(1, b"qq"), "short texts are anywhere"
    assert found.may_hold(1, b"0123"), "of few digits nothing is said"
    assert not found.may_hold(1, b"012345")
    assert found.may_hold(2, b"nowhere"), "searched once"
    assert found.may_hold(3, b"nowhere"), "never searched"
    assert found.nbytes() > NOTHING.nbytes()


BLOCK = stored(batch_of(ENTRIES), 8, layout=Layout(3))
SOURCE = opened(*BLOCK)
"""What it learns stays from one example to the next."""
