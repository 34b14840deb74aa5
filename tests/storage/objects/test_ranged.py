"""Does a window over ranges read as a file does, in few requests?"""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.objects import ranged
from storage.objects.ranged import RangedFile
from tests.reference.budget import examples

CONTENT = bytes(range(256)) * 4
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 300)),
        st.tuples(st.sampled_from(["set", "here", "end"]), st.integers(-50, 1100)),
    )
)


@settings(max_examples=examples(200), deadline=None)
@given(STEPS, st.sampled_from([1, 64, 10_000]))
def test_it_reads_as_a_file_in_memory(steps: list[tuple[str, int]], window: int) -> None:
    asked: list[tuple[int, int]] = []

    def read_range(start: int, length: int) -> bytes:
        assert 0 <= start < start + length <= len(CONTENT), "never beyond the end"
        asked.append((start, length))
        return CONTENT[start : start + length]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranged, "WINDOW_BYTES", window)
        mine, real = RangedFile(len(CONTENT), read_range), io.BytesIO(CONTENT)
        for what, number in steps:
            if what == "read":
                assert mine.read(number) == real.read(number)
            else:
                base = {"set": 0, "here": real.tell(), "end": len(CONTENT)}[what]
                real.seek(max(base + number, 0))
                mine.seek(number, ("set", "here", "end").index(what))
            assert mine.tell() == real.tell()
    reads = sum(what == "read" for what, _ in steps)
    assert len(asked) <= reads


def test_reading_on_moves_the_window_only_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranged, "WINDOW_BYTES", 100)
    asked: list[tuple[int, int]] = []

    def read_range(start: int, length: int) -> bytes:
        asked.append((start, length))
        return CONTENT[start : start + length]

    file = RangedFile(250, read_range)
    assert b"".join(iter(lambda: file.read(10), b"")) == CONTENT[:250]
    assert asked == [(0, 100), (100, 100), (200, 50)]
