"""Does everything that a push makes the server hold cost something, once?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingester.accepted import Accepted
from ingester.cost import (
    MIN_ENTRY_BYTES,
    MOST_LEVEL_BYTES,
    ROW_BYTES,
    STREAM_BYTES,
    cost_of,
    cost_of_push,
    entry_bytes,
    rated_bytes,
    sums_of,
)
from ingester.enrich import enrich
from ingester.records import batch_of
from ingester.streams import StreamResolver
from narfi.core.limits import Limits
from narfi.core.wire.push import DecodedPush
from narfi.core.wire.push_encode import PushEntry, encode_push_request
from narfi.core.wire.push_protobuf import decode_push_protobuf

LIMITS = Limits(discover_log_levels=False)
NAMES = st.sampled_from(["a", "trace", "é", "detected_level", "detected_leveL"])
pair = st.tuples(NAMES, st.text("xé", min_size=1, max_size=70))
PAIRS = st.lists(pair, max_size=3)
entry = st.tuples(st.binary(max_size=40), PAIRS)


def pushed(entries: list[tuple[bytes, list[tuple[str, str]]]]) -> DecodedPush:
    """A push of one stream."""
    timed = [(10**9 + k, line, pairs) for k, (line, pairs) in enumerate(entries)]
    return decode_push_protobuf(encode_push_request([('{app="a"}', timed)]))


def pair_bytes(pair: tuple[str, str]) -> int:
    """What a pair counts: a level that came with an entry nothing."""
    name, value = (len(text.encode()) for text in pair)
    return 0 if pair[0] == "detected_level" and value <= MOST_LEVEL_BYTES else name + value


@given(st.lists(entry, min_size=1, max_size=20))
def test_lines_and_metadata_count_as_loki_counts_them(
    entries: list[tuple[bytes, list[tuple[str, str]]]],
) -> None:
    push = pushed(entries)
    sizes = [len(line) + sum(map(pair_bytes, pairs)) for line, pairs in entries]
    assert entry_bytes(push).tolist() == sizes
    assert rated_bytes(push).tolist() == [max(size, MIN_ENTRY_BYTES) for size in sizes]
    line_bytes = sums_of(push).line_bytes
    held = sum(len(n.encode()) + len(v.encode()) for _, pairs in entries for n, v in pairs)
    held += sum(len(line) for line, _ in entries)
    wanted = held + ROW_BYTES * len(entries) + STREAM_BYTES
    assert cost_of_push(push, line_bytes) == wanted


def test_empty_lines_are_not_free() -> None:
    push = pushed([(b"", [])] * 1000)
    accepted = Accepted(push, StreamResolver().resolve(push.labels, LIMITS), whole=True)
    batch = batch_of(accepted, enrich(accepted, LIMITS))
    assert cost_of(batch) == cost_of_push(push, 0) == ROW_BYTES * 1000 + STREAM_BYTES
    assert rated_bytes(push).sum() == MIN_ENTRY_BYTES * 1000


def test_streams_without_an_accepted_entry_are_not_held() -> None:
    texts = [f'{{app="{k}"}}' for k in range(4)]
    timed: list[tuple[str, list[PushEntry]]] = [
        (text, [(10**9, text.encode(), [])]) for text in texts
    ]
    push = decode_push_protobuf(encode_push_request(timed))
    streams = StreamResolver().resolve(push.labels, LIMITS)
    kept = Accepted(push.take(np.array([1, 3])), streams, whole=False)
    batch = batch_of(kept, enrich(kept, LIMITS))
    assert [labels.get("app") for labels in batch.table.labels] == ["1", "3"]
    assert batch.stream.tolist() == [0, 1]
    assert batch.lines is not None
    assert batch.lines.spans().to_list() == [texts[1].encode(), texts[3].encode()]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.lists(st.tuples(st.integers(0, 2**62), st.binary(max_size=40), PAIRS), max_size=4),
        ),
        max_size=6,
    )
)
def test_sums_are_what_entry_after_entry_gives(
    streams: list[tuple[int, list[tuple[int, bytes, list[tuple[str, str]]]]]],
) -> None:
    push = decode_push_protobuf(
        encode_push_request([(f'{{app="{name}"}}', entries) for name, entries in streams])
    )
    sums = sums_of(push)
    sizes = iter(entry_bytes(push).tolist())
    rated = [[max(next(sizes), MIN_ENTRY_BYTES) for _ in entries] for _, entries in streams]
    every = [entry for _, entries in streams for entry in entries]
    assert sums.entries.tolist() == [len(entries) for _, entries in streams]
    assert sums.rated.tolist() == [sum(found) for found in rated]
    assert sums.all_rated == sum(map(sum, rated))
    assert sums.line_bytes == sum(len(line) for _, line, _ in every)
    assert sums.longest_line == max((len(line) for _, line, _ in every), default=0)
    assert sums.oldest_ns == min((ts for ts, _, _ in every), default=2**63 - 1)
    assert sums.newest_ns == max((ts for ts, _, _ in every), default=-(2**63))
