"""Do labels as codes say what labels as objects say?"""

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.label_column import LabelColumn
from narfi.core.labels import Labels
from narfi.core.matchers import Matcher, MatchOp
from storage.batch import StreamTable
from storage.block.streams import decode_streams, encode_streams
from storage.stream_labels import CodedLabels, Remembered

NAMES = ["__tenant_id__", "app", "original___tenant_id__", "pod", "z"]
VALUES = ["a", "b", "ab", "", "ü", "x" * 40]
LABELS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=4).map(Labels.of),
    min_size=1,
    max_size=12,
    unique=True,
)
MATCHERS = st.lists(
    st.builds(
        Matcher,
        st.sampled_from(NAMES),
        st.sampled_from(MatchOp),
        st.sampled_from([*VALUES, ".*", ".+", "a|b", "a.*", ".b", "none"]),
    ),
    max_size=3,
)


def tables(labels: list[Labels]) -> tuple[StreamTable, StreamTable]:
    """The streams as objects, and as a block gives them back."""
    counts = np.arange(len(labels), dtype=np.int64)
    listed = StreamTable(
        labels=tuple(labels),
        first_row=counts,
        rows=counts,
        first_ts=counts,
        last_ts=counts,
        line_bytes=counts,
    )
    return listed, decode_streams(encode_streams(listed))


def texts(column: LabelColumn) -> list[str | None]:
    """The value of each row."""
    return [None if code < 0 else column.texts[code] for code in column.codes.tolist()]


@given(LABELS, MATCHERS, st.data())
def test_codes_say_what_objects_say(
    labels: list[Labels], matchers: list[Matcher], data: st.DataObject
) -> None:
    added = data.draw(st.booleans())
    listed, coded = tables(labels)
    if added:
        listed, coded = (t.with_label("__tenant_id__", "t") for t in (listed, coded))
        labels = [_with_tenant(found) for found in labels]
    ordinals = np.arange(len(labels))
    assert list(coded.labels) == labels
    assert [coded.labels[ordinal] for ordinal in range(len(labels))] == labels
    assert (coded.fingerprints(ordinals) == listed.fingerprints(ordinals)).all()
    for table in (listed, coded):
        assert {*table.names} == {name for found in labels for name, _ in found}
        some = np.flatnonzero([data.draw(st.booleans()) for _ in labels])
        assert table.pairs_of(some) == [labels[ordinal].pairs for ordinal in some.tolist()]
        values = [value for ordinal in some.tolist() for _, value in labels[ordinal]]
        if not added:  # then about
            assert table.size_of(some) == (len(values), sum(map(_size(table), values)))
        for name in NAMES:
            assert texts(table.column(name)) == [found.get(name) or None for found in labels]
            assert table.has(name) == any(found.get(name) for found in labels)
        wanted = [all(m.matches(found.get(m.name)) for m in matchers) for found in labels]
        for _ in range(2):  # the second time it is remembered
            assert table.select(matchers).tolist() == wanted
        chosen = [found for found, keep in zip(labels, wanted, strict=True) if keep]
        there = {name for found in chosen for name, _ in found}
        assert there <= table.names_of(np.array(wanted))
        if not added:
            assert there == table.names_of(np.array(wanted))


def _size(table: StreamTable) -> Callable[[str], int]:
    """Codes know bytes, objects know characters."""
    coded = isinstance(table.labels, CodedLabels)
    return lambda value: len(value.encode() if coded else value)


def _with_tenant(found: Labels) -> Labels:
    pairs = found.as_dict()
    if "__tenant_id__" in pairs:
        pairs["original___tenant_id__"] = pairs["__tenant_id__"]
    return Labels.of({**pairs, "__tenant_id__": "t"})


@given(LABELS, st.lists(st.integers(0, 11), max_size=8))
def test_a_compact_column_has_no_other_values(labels: list[Labels], rows: list[int]) -> None:
    _, coded = tables(labels)
    chosen = np.array([row % len(labels) for row in rows], np.int64)
    for name in NAMES:
        taken = coded.column(name).take(chosen)
        assert texts(taken.compact()) == texts(taken)
        assert len(taken.compact().values) <= len(chosen)


def test_a_table_holds_what_it_says() -> None:
    """No object a stream: what is charged to the cache is what the arrays take."""
    labels = [Labels.of({"app": "a", "pod": f"pod-{n:06d}"}) for n in range(1000)]
    _, coded = tables(labels)
    assert 80 < coded.nbytes / len(labels) < 150


def test_the_oldest_is_forgotten() -> None:
    kept: Remembered[str, int] = Remembered(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)
