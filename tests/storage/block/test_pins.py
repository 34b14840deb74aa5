"""Does a block stay for as long as somebody may read it, and no longer?"""

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from storage.block import pins as pins_module
from storage.block.pins import N, Pins
from storage.catalog.base import BlockRow
from tests.reference.budget import examples
from tests.schedules import Schedule, bursts


def row(block_id: str) -> BlockRow:
    """A block of which only the id matters."""
    return BlockRow(
        block_id=block_id,
        tenant=TenantId("t"),
        cut_id="cut",
        min_ts=0,
        max_ts=0,
        rows=1,
        line_bytes=1,
        stored_bytes=1,
        level=0,
        format_version=1,
        created_ns=0,
    )


A, B = row("a"), row("b")


def test_what_a_reader_got_stays_until_it_is_done() -> None:
    pins = Pins()
    with pins.reading() as reader:
        assert pins.unread([A, B]) == [A, B]
        assert reader.blocks(lambda: [A]) == [A]
        assert pins.unread([A, B]) == [B]
        with pins.reading() as another:
            another.blocks(lambda: [A, B])
            assert pins.unread([A, B]) == []
            assert pins.count() == 2
        assert pins.unread([A, B]) == [B]
        assert pins.longest_s() > 0
    assert pins.unread([A, B]) == [A, B]
    assert pins.count() == 0
    assert pins.longest_s() == 0


def test_one_who_gives_way_holds_nothing_in_need() -> None:
    pins = Pins()
    with pins.reading(gives_way=True) as rewriter, pins.reading() as reader:
        rewriter.blocks(lambda: [A, B])
        assert pins.unread([A, B]) == []
        assert pins.unread([A, B], in_need=True) == [A, B]
        reader.blocks(lambda: [A])
        assert pins.unread([A, B], in_need=True) == [B]


def test_a_reader_whose_question_fails_asks_no_more() -> None:
    pins = Pins()

    def fail() -> Sequence[BlockRow]:
        raise OSError("the catalog is away")

    with pins.reading() as reader:
        reader.blocks(lambda: [A])
        with pytest.raises(OSError, match="away"):
            reader.blocks(fail)
        assert pins.unread([A, B]) == [B], "it does not ask any more"
    assert pins.unread([A]) == [A]


def test_a_reader_that_is_done_gets_nothing_more() -> None:
    pins = Pins()
    with pins.reading() as reader:
        pass
    with pytest.raises(AssertionError, match="done"):
        reader.blocks(lambda: [A])


def test_a_catalog_that_does_not_answer_keeps_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins_module, "ASKING_S", 0.01)
    pins = Pins()
    asked, answer = threading.Event(), threading.Event()

    def ask() -> Sequence[BlockRow]:
        asked.set()
        assert answer.wait(60)
        return [A]

    def read() -> None:
        with pins.reading() as reader:
            reader.blocks(ask)

    thread = threading.Thread(target=read)
    thread.start()
    assert asked.wait(60)
    assert pins.unread([A, B]) == []
    assert pins.unread([]) == []
    answer.set()
    thread.join()
    assert pins.unread([A, B]) == [A, B]


class Blind(Pins):
    """As without pins: whatever was removed may be deleted."""

    def unread(self, blocks: Sequence[N], *, in_need: bool = False) -> list[N]:
        """All of them."""
        return list(blocks)


class Hasty(Pins):
    """Looks at what is named only, not at those who are asking."""

    def _all_have_asked(self) -> bool:
        return True


class Model:
    """Readers, swaps and cleaners as threads over a catalog and objects in memory."""

    def __init__(self, schedule: Schedule, pins: Pins) -> None:
        self.schedule, self.pins = schedule, pins
        self.visible = {f"block {k}": row(f"block {k}") for k in range(3)}
        self.removed: dict[str, BlockRow] = {}
        self.objects = set(self.visible)
        self.made = len(self.visible)

    def _catalog(self) -> list[BlockRow]:
        self.schedule.pause()
        found = list(self.visible.values())
        self.schedule.pause()
        return found

    def read(self) -> None:
        """Ask twice, as a query with two selectors, and read every object."""
        with self.pins.reading() as reader:
            found = [*reader.blocks(self._catalog), *reader.blocks(self._catalog)]
            for block in found:
                self.schedule.pause()
                assert block.block_id in self.objects, "a reader lost a block"

    def merge(self) -> None:
        """A new block in the place of two."""
        old = list(self.visible)[:2]
        new = row(f"block {self.made}")
        self.made += 1
        self.objects.add(new.block_id)
        self.schedule.pause()
        if all(name in self.visible for name in old):
            for name in old:
                self.removed[name] = self.visible.pop(name)
            self.visible[new.block_id] = new
        else:  # somebody was faster
            self.removed[new.block_id] = new

    def clean(self) -> None:
        """Delete what was removed and is not read."""
        self.schedule.pause()
        removed = list(self.removed.values())
        self.schedule.pause()
        for block in self.pins.unread(removed):
            self.schedule.pause()
            self.objects.discard(block.block_id)
            self.removed.pop(block.block_id, None)


STEPS = st.lists(st.sampled_from(["read", "read", "merge", "clean"]), min_size=2, max_size=9)


def play(seed: int, steps: Sequence[str], pins_of: type[Pins] = Pins) -> None:
    """All steps at once, in a drawn order; then a last cleaning."""
    schedule = Schedule(bursts(seed))
    model = Model(schedule, pins_of(schedule))
    for number, step in enumerate(steps):
        schedule.start(f"{step} {number}", getattr(model, step))
    schedule.run()
    model.clean()
    assert model.objects == set(model.visible)


@settings(max_examples=examples(300))
@given(st.integers(0, 2**32), STEPS)
def test_a_reader_never_loses_a_block_in_any_schedule(seed: int, steps: list[str]) -> None:
    play(seed, steps)


@pytest.mark.parametrize("pins_of", [Blind, Hasty])
def test_such_schedules_find_what_pins_are_for(pins_of: type[Pins]) -> None:
    found = 0
    for seed in range(200):
        try:
            play(seed, ["read", "read", "merge", "clean", "clean"], pins_of)
        except AssertionError as error:
            assert str(error).startswith("a reader lost a block")  # noqa: PT017 - counted
            found += 1
    assert found > 0
