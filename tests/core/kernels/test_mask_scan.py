"""What do tokens of lines of one mask share? The kernels against a look at each token."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.mask_scan import (
    KINDS,
    count_tokens,
    mark_changing,
    mask_hashes,
    shared_hashes,
    shared_tokens,
    token_lengths,
    unchanging,
)
from narfi.core.text.masks import mask, masked
from tests.reference.budget import examples

_KINDS = np.frombuffer(KINDS, np.uint8)
VALUES = st.text("1 2/a.-", max_size=8)
LINES = st.lists(
    st.builds("x={} /p/{}/q{}".format, VALUES, VALUES, VALUES).map(str.encode),
    min_size=1,
    max_size=12,
)


def offsets(lines: Spans) -> np.ndarray:
    """Where the tokens of each line begin in a list of all."""
    counts = np.empty(len(lines), np.int64)
    count_tokens(lines.data, lines.start, lines.length, _KINDS, counts)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def slow_shared(tokens: list[bytes]) -> int:
    """Bytes of the first token: all when the tokens are equal, else up to a slash."""
    if len(set(tokens)) == 1:
        return len(tokens[0])
    low, high = min(tokens), max(tokens)  # what these share, all share
    size = 0
    while size < min(len(low), len(high)) and low[size] == high[size]:
        size += 1
    return low[:size].rfind(b"/") + 1


@settings(max_examples=examples(200), deadline=None)
@given(LINES)
@example([b"x=1 /p/1/q1", b"x=12 /p/12/q1"])
def test_shared_tokens(lines: list[bytes]) -> None:
    spans = Spans.of(lines)
    texts = [mask(line) for line in lines]
    kinds = sorted(set(texts))
    group = np.array([kinds.index(text) for text in texts], np.int64)
    first = np.array([texts.index(text) for text in kinds], np.int64)
    offset = offsets(spans.take(first))
    shared = np.zeros(int(offset[-1]), np.int32)
    some = spans.take(first)
    token_lengths(some.data, some.start, some.length, _KINDS, offset, shared)
    shared_tokens(spans.data, spans.start, spans.length, _KINDS, group, first, offset, shared)
    wanted = []
    for text in kinds:
        mine = [line for line, other in zip(lines, texts, strict=True) if other == text]
        rows = [[line[a:b] for a, b in masked(line).places] for line in mine]
        wanted += [slow_shared(list(column)) for column in zip(*rows, strict=True)]
    assert shared.tolist() == wanted
    hashes = np.empty(len(lines), np.uint64)
    mask_hashes(spans.data, spans.start, spans.length, _KINDS, hashes)
    assert [len(set(hashes[group == k].tolist())) for k in range(len(kinds))] == [1] * len(kinds)


@settings(max_examples=examples(100), deadline=None)
@given(LINES, st.data())
def test_marks_and_what_is_left(lines: list[bytes], data: st.DataObject) -> None:
    spans = Spans.of(lines)
    offset = offsets(spans)
    places = [place for line in lines for place in masked(line).places]
    starts = np.repeat(spans.start, np.diff(offset)).tolist()
    tokens = [(s + a, s + b) for s, (a, b) in zip(starts, places, strict=True)]
    shared = np.array([data.draw(st.integers(0, b - a)) for a, b in tokens], np.int32)
    changing = np.zeros(len(spans.data), np.bool_)
    mark_changing(spans.data, spans.start, spans.length, _KINDS, offset, shared, changing)
    marked = {
        k for (a, b), size in zip(tokens, shared.tolist(), strict=True) for k in range(a + size, b)
    }
    assert set(np.flatnonzero(changing).tolist()) == marked
    left = np.zeros(len(tokens), np.int32)
    unchanging(spans.data, spans.start, spans.length, _KINDS, offset, changing, left)
    raw = spans.data.tobytes()
    assert left.tolist() == [
        b - a if size == b - a else raw[a : a + size].rfind(b"/") + 1
        for (a, b), size in zip(tokens, shared.tolist(), strict=True)
    ]


@settings(max_examples=examples(200), deadline=None)
@given(LINES, st.data())
def test_names_of_what_is_shared(lines: list[bytes], data: st.DataObject) -> None:
    """Equal for lines of one mask exactly where the tokens share the same, and all or a part."""
    spans = Spans.of(lines)
    offset = offsets(spans)
    shared, wanted = list[int](), dict[tuple[str, tuple[tuple[bytes, bool], ...]], set[int]]()
    found = [masked(line) for line in lines]
    for one in found:
        for begin, end in one.places:
            shared.append(data.draw(st.sampled_from((0, (end - begin) // 2, end - begin))))
    names = np.empty(len(lines), np.uint64)
    sizes = np.array(shared, np.int32)
    shared_hashes(spans.data, spans.start, spans.length, _KINDS, offset, sizes, names)
    for number, (line, one) in enumerate(zip(lines, found, strict=True)):
        mine = shared[offset[number] : offset[number + 1]]
        values = tuple(
            (line[begin : begin + size], begin + size == end)
            for (begin, end), size in zip(one.places, mine, strict=True)
        )
        wanted.setdefault((one.text, values), set()).add(int(names[number]))
    assert [len(same) for same in wanted.values()] == [1] * len(wanted)
    by_mask: dict[str, list[int]] = {}
    for (text, _), same in wanted.items():
        by_mask.setdefault(text, []).extend(same)
    assert all(len(set(several)) == len(several) for several in by_mask.values())
