"""Is every entry of a source read exactly once, whatever times its entries share?"""

from collections import Counter

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.labels import labels_text
from narfi.history.errors import SourceError
from narfi.history.loki.paging import LokiSource, Part
from narfi.history.loki.selectors import all_streams
from narfi.history.page import COPY, Cursor, Page
from tests.history.fake_loki import Entry, FakeLoki
from tests.reference.budget import examples

START, END = 1_000, 2_000
LABELS = st.sampled_from(
    [{"app": "a"}, {"app": "b"}, {"app": "a", "pod": "p"}, {"job": "j"}, {"pod": "q", "job": "k"}]
)
ENTRIES = st.tuples(
    LABELS,
    st.one_of(st.integers(START - 5, END + 5), st.sampled_from([1_500, 1_501])),
    st.sampled_from(["one", "two words", "three more words", 'quo"ted', "ünï", ""]),
    st.sampled_from([{}, {"id": "1"}, {"id": "2", "user": "u"}]),
)
Shown = tuple[str, int, str, tuple[tuple[str, str], ...]]


def source_of(loki: FakeLoki, batch: int, tenant: str = "t") -> LokiSource:
    """Everything of a tenant."""
    asker = loki.asker(tenant)
    parts = [
        Part(tenant=tenant, to_tenant="to", selector=selector)
        for selector in all_streams(asker, START, END)
    ]
    return LokiSource(asker=asker, parts=parts, start_ns=START, end_ns=END, batch=batch)


def read(source: LokiSource, cursors: dict[str, Cursor] | None = None) -> list[Page]:
    """All pages."""
    return list(source.pages(cursors or {}))


def shown(pages: list[Page]) -> Counter[Shown]:
    """Entries with the numbers of copies taken off again."""
    return Counter(
        (labels, ts_ns, line.decode(), tuple(pair for pair in metadata if pair[0] != COPY))
        for page in pages
        for labels, entries in page.streams.items()
        for ts_ns, line, metadata in entries
    )


def expected(entries: list[Entry]) -> Counter[Shown]:
    """What is in the span, as often as it is there."""
    return Counter(
        (labels_text(sorted(labels.items())), ts_ns, line, tuple(metadata.items()))
        for labels, ts_ns, line, metadata in entries
        if START <= ts_ns < END
    )


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(ENTRIES, max_size=80), st.integers(40, 60))
def test_every_entry_once(entries: list[Entry], batch: int) -> None:
    pages = read(source_of(FakeLoki({"t": entries}, most_entries=batch), batch))
    assert shown(pages) == expected(entries)
    keys = [
        (labels, entry)
        for page in pages
        for labels, found in page.streams.items()
        for entry in found
    ]
    assert len(set(map(repr, keys))) == len(keys), "equal entries would be kept once"


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(ENTRIES, max_size=60), st.data())
def test_going_on_after_any_page(entries: list[Entry], data: st.DataObject) -> None:
    loki = FakeLoki({"t": entries}, most_entries=40)
    pages = read(source_of(loki, 40))
    stop = data.draw(st.integers(0, len(pages)))
    cursors = {name: cursor for page in pages[:stop] for name, cursor in page.cursors.items()}
    again = read(source_of(loki, 40), cursors)
    assert shown([*pages[:stop], *again]) == expected(entries)


def test_a_crowded_nanosecond_is_divided() -> None:
    entries: list[Entry] = [
        ({"app": "a", "pod": f"p{k % 3}"}, 1_500, f"line {k} of {k % 2}", {"n": str(k)})
        for k in range(300)
    ]
    loki = FakeLoki({"t": entries}, most_entries=20)
    assert shown(read(source_of(loki, 20))) == expected(entries)


def test_a_source_with_a_higher_limit_is_asked_for_it() -> None:
    entries: list[Entry] = [({"app": "a"}, 1_500, "same", {"n": str(k)}) for k in range(300)]
    loki = FakeLoki({"t": entries}, most_entries=400)
    assert shown(read(source_of(loki, 20))) == expected(entries)


def test_what_cannot_be_divided_is_said() -> None:
    entries: list[Entry] = [({"app": "a"}, 1_500, "same", {"n": str(k)}) for k in range(300)]
    with pytest.raises(SourceError, match=r"1500 ns .* raise its max_entries_limit_per_query"):
        read(source_of(FakeLoki({"t": entries}, most_entries=20), 20))


def test_copies_that_the_source_shows_stay_as_many() -> None:
    entries: list[Entry] = [({"app": "a"}, 1_500, "same", {"n": "1"})] * 3
    (page,) = (p for p in read(source_of(FakeLoki({"t": entries}), 100)) if p.streams)
    assert page.streams == {
        '{app="a"}': [
            (1_500, b"same", (("n", "1"),)),
            (1_500, b"same", (("n", "1"), (COPY, "2"))),
            (1_500, b"same", (("n", "1"), (COPY, "3"))),
        ]
    }


def test_the_batch_becomes_what_the_source_allows() -> None:
    entries: list[Entry] = [({"app": "a"}, START + k, f"{k}", {}) for k in range(200)]
    source = source_of(FakeLoki({"t": entries}, most_entries=50), 5000)
    assert shown(read(source)) == expected(entries)
    assert source.batch == 50


def test_a_source_that_answers_in_time_only_for_little() -> None:
    entries: list[Entry] = [({"app": "a"}, 10**15 + k * 10**9, f"{k}", {}) for k in range(100)]

    def slow(request: httpx.Request) -> httpx.Response | None:
        given = request.url.params
        span = int(given.get("end", 0)) - int(given.get("start", 0))
        late = request.url.path.endswith("query_range") and span > 30 * 10**9
        return httpx.Response(504, text="request timed out") if late else None

    loki = FakeLoki({"t": entries}, fault=slow)
    part = Part(tenant="t", to_tenant="t", selector='{app="a"}')
    source = LokiSource(
        asker=loki.asker(), parts=[part], start_ns=10**15, end_ns=10**15 + 10**11, batch=100
    )
    assert sum(page.count() for page in source.pages({})) == 100


def test_metadata_that_is_not_apart_is_told() -> None:
    entries: list[Entry] = [({"app": "a"}, START, "x", {"id": "1"})]
    source = source_of(FakeLoki({"t": entries}, categorizes=False), 100)
    (page,) = (p for p in read(source) if p.streams)
    assert list(page.streams) == ['{app="a", id="1"}']
    assert source.merges_metadata


def test_times_outside_are_not_believed() -> None:
    def lies(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("query_range"):
            return None
        result = [{"stream": {"app": "a"}, "values": [["5", "x", {}]]}]
        data = {"resultType": "streams", "result": result, "encodingFlags": ["categorize-labels"]}
        return httpx.Response(200, json={"status": "success", "data": data})

    loki = FakeLoki({"t": [({"app": "a"}, START, "x", {})]}, fault=lies)
    with pytest.raises(SourceError, match="outside of"):
        read(source_of(loki, 100))
