"""Is what is remembered of a question what a block says that nobody asked before?"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.block.format3.known_needles import MOST_BYTES, MOST_KNOWN, KnownNeedles, Question
from storage.block.identity import Layout
from storage.block.reader import BlockSource
from storage.scan import Columns, ScanRequest
from tests.reference.budget import examples
from tests.storage.batches import Entry, batch_of
from tests.storage.blocks import opened, small_groups, stored

LINES = [
    *[b"user %d did %x" % (n % 7, n * 7919) for n in range(60)],
    *[b"k=%d state=%b" % (n, (b"up", b"down")[n % 2]) for n in range(40)],
    b"plain",
    b"!?",
]
ENTRIES: list[Entry] = [("app", n, line, {}) for n, line in enumerate(LINES)]
WORDS = st.sampled_from([b"user", b"did", b"state=down", b"pla", b"!?", b"zz", b"3", b"er 5"])
NEEDLES = st.lists(WORDS, max_size=3).map(tuple)


def planned(source: BlockSource, needles: tuple[bytes, ...]) -> list[tuple[object, ...]]:
    """Row groups that may hold the needles, and where their rows are."""
    request = ScanRequest(
        streams=np.ones(len(source.table.labels), np.bool_),
        start_ns=0,
        end_ns=10**9,
        columns=Columns(metadata=False),
        needles=needles,
    )
    found: list[tuple[object, ...]] = []
    for group in source.row_groups(request):
        assert group.pieces is not None
        places = group.pieces.low.tolist(), group.pieces.high.tolist()
        found.append((group.index, group.rows, group.min_ts, group.max_ts, group.shaped, places))
    return [*found, (request.stats.row_groups_pruned, request.stats.rows_pruned)]


with small_groups(40):
    BLOCK = stored(batch_of(ENTRIES), 8, layout=Layout(3))
SOURCE = opened(*BLOCK)
"""What it remembers stays from one example to the next."""


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(NEEDLES, min_size=1, max_size=2 * MOST_KNOWN))
def test_what_is_asked_again_is_planned_as_by_a_fresh_block(
    questions: list[tuple[bytes, ...]],
) -> None:
    for needles in [*questions, *questions]:
        assert planned(SOURCE, needles) == planned(opened(*BLOCK), needles), needles


def test_few_questions_of_short_words_are_remembered() -> None:
    known, held = KnownNeedles(), np.ones(3, np.bool_)
    questions = [
        Question(0, (b"%d" % n,), frozenset(), has_grams=False) for n in range(MOST_KNOWN + 2)
    ]
    for question in questions:
        known.put(question, held)
    assert [known.get(one) is held for one in questions] == [False] * 2 + [True] * MOST_KNOWN
    long = Question(0, (b"x" * MOST_BYTES, b"x"), frozenset(), has_grams=False)
    known.put(long, held)
    assert known.get(long) is None
    assert known.get(questions[-1]) is held


def test_what_is_known_of_columns_is_part_of_the_question() -> None:
    known = KnownNeedles()
    known.put(Question(0, (b"a",), frozenset(), has_grams=False), np.ones(1, np.bool_))
    assert known.get(Question(0, (b"a",), frozenset({1}), has_grams=False)) is None
    assert known.get(Question(0, (b"a",), frozenset(), has_grams=True)) is None
    assert known.get(Question(1, (b"a",), frozenset(), has_grams=False)) is None
