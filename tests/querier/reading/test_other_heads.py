"""Is an answer of many processes whole, and every entry in it once, whoever fails or moves on?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryMemoryError
from querier.reading.duplicates import DuplicateIndex
from querier.reading.missing import nothing_missing
from querier.reading.other_heads import JournalEntries, OtherHeads
from querier.reading.partial import Partial, PartialAnswerError
from querier.reading.reading import Reading
from storage.catalog.base import CatalogError
from storage.catalog.leases import JournalRow, JournalState
from storage.head_exchange import HeadQuestion, HeadRun
from storage.memory_source import MemorySource
from storage.scan import Columns, Found, LogSource
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of, entries_of

TENANT = TenantId("t")
ALL = (Matcher("app", MatchOp.RE, ".+"),)
RANGE = (0, 100)


def entry(number: int) -> Entry:
    """One of a kind."""
    return ("a", number, b"line %d" % number, {})


def row(name: str, state: JournalState = JournalState.LIVE) -> JournalRow:
    """A journal."""
    return JournalRow(
        journal_id=name,
        holder="h",
        address=f"{name}:9095",
        epoch=1,
        state=state,
        forgotten=0,
        expired=False,
    )


class World:
    """Ingesters with parts by cut id, their journals, and blocks; `on` is called at each step."""

    def __init__(self) -> None:
        self.rows = [row("one"), row("two")]
        self.heads: dict[str, dict[str, list[Entry]]] = {
            "one": {"c1": [entry(1), entry(2)]},
            "two": {"c2": [entry(3)]},
        }
        self.silent: set[str] = set()
        self.questions: list[HeadQuestion] = []
        self.unreadable: set[str] = set()
        self.damaged: list[str] = []
        self.blocks: dict[str, list[Entry]] = {"c0": [entry(0)]}
        self.steps: list[str] = []
        self.on: Callable[[str], None] = lambda _: None

    def _step(self, what: str) -> None:
        self.steps.append(what)
        self.on(what)

    def journals(self) -> Sequence[JournalRow]:
        """Asked of the catalog."""
        self._step("journals")
        return list(self.rows)

    def ask(self, journal: JournalRow, question: HeadQuestion) -> Sequence[HeadRun]:
        """Asked of an ingester."""
        self._step(f"ask {journal.journal_id}")
        if journal.journal_id in self.silent:
            raise AppError("no answer")
        self.questions.append(question)
        plain = replace(question, needles=(), streams_only=False)
        assert plain == HeadQuestion(tenant=TENANT, matchers=ALL, start_ns=0, end_ns=100)
        parts = self.heads[journal.journal_id]
        return [HeadRun(cut, merge_batches([batch_of(part)])) for cut, part in parts.items()]

    def read(self, journal_id: str, tenant: TenantId) -> JournalEntries:
        """Read from the journal: what no block had when it was read."""
        self._step(f"read {journal_id}")
        assert tenant == TENANT
        if journal_id in self.unreadable:
            raise AppError("503")
        parts = self.heads[journal_id].values()
        return JournalEntries([batch_of(part) for part in parts], self.damaged)

    def flush(self, name: str) -> None:
        """Its parts become blocks."""
        self.blocks |= self.heads[name]
        self.heads[name] = {}

    def merge(self, *cuts: str) -> None:
        """Blocks become one, of no head part."""
        self.blocks["merged"] = [e for cut in cuts for e in self.blocks.pop(cut)]

    def adopt(self, name: str, *, known: bool) -> None:
        """Another process put its journal into a block, cut as it likes.

        `known`: who reads the journal from now on knows that; else it reads what it knew.
        """
        self.blocks["adopted"] = [e for part in self.heads[name].values() for e in part]
        self.silent.add(name)
        if known:
            self.heads[name] = {}

    def found(self, tenant: TenantId, start_ns: int, end_ns: int) -> Found:
        """The blocks of the catalog."""
        self._step("blocks")
        return Found(
            [
                MemorySource(merge_batches([batch_of(part)]), f"block of {cut}", cut)
                for cut, part in self.blocks.items()
            ]
        )

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """As `found`, and the own head, which is empty."""
        return []


@pytest.fixture
def world() -> World:
    """Two ingesters and a block."""
    return World()


@pytest.fixture
def others(world: World) -> Iterator[OtherHeads]:
    """Reads it."""
    found = OtherHeads(
        journals=world.journals,
        ask=world.ask,
        read=world.read,
        is_mine=lambda journal_id: journal_id == "mine",
    )
    yield found
    found.close()


def reading(
    world: World, others: OtherHeads, partial: Partial = Partial.WARN, budget: Budget | None = None
) -> Reading:
    """A request."""
    return Reading(
        heads=world,
        blocks=world,
        duplicates=DuplicateIndex(),
        missing=nothing_missing,
        tenants=(TENANT,),
        budget=budget or Budget(),
        partial=partial,
        others=others,
    )


def seen(request: Reading) -> list[Entry]:
    """All entries that a view shows."""
    found: list[Entry] = []
    for view in request.view(ALL, RANGE).sources:
        source = view.source
        assert isinstance(source, MemorySource)
        rows = [n for n in range(len(source.batch)) if n not in set(view.excluded.tolist())]
        found += [entries_of(source.fetch(source.batch.rows, Columns()))[n] for n in rows]
    return sorted(found, key=repr)


EVERYTHING = [entry(number) for number in range(4)]


def test_heads_of_all_and_blocks(world: World, others: OtherHeads) -> None:
    request = reading(world, others)
    assert seen(request) == EVERYTHING
    assert seen(request) == EVERYTHING, "a view is taken once"
    assert world.steps[0] == "journals"
    assert sorted(world.steps[1:3]) == ["ask one", "ask two"]
    assert world.steps[3:] == ["blocks"]
    assert request.warnings() == ()


def test_needles_are_for_who_asks_for_lines(world: World, others: OtherHeads) -> None:
    """A selector that is asked for with others, or for its streams, is asked for again."""
    request = reading(world, others)
    request.view(ALL, RANGE, needles=(b"a",))
    request.view(ALL, RANGE, needles=(b"a",))
    request.view(ALL, RANGE)
    request.view(ALL, RANGE, needles=(b"a",), distinct=False)
    found = [question.needles for question in world.questions]
    assert sorted(found) == [(), (), (), (), (b"a",), (b"a",)]


def test_what_is_in_this_process_is_not_asked_for(world: World, others: OtherHeads) -> None:
    world.rows = [row("mine")]
    assert seen(reading(world, others)) == [entry(0)]
    assert world.steps == ["journals", "blocks"]


@pytest.mark.parametrize("step", ["journals", "ask one", "ask two", "read one", "blocks"])
@pytest.mark.parametrize("silent", [(), ("one",), ("one", "two")])
def test_a_flush_at_any_step_shows_nothing_twice_and_misses_nothing(
    world: World, others: OtherHeads, step: str, silent: tuple[str, ...]
) -> None:
    world.silent = set(silent)

    def flush(what: str) -> None:
        if what == step and world.heads["one"]:
            world.flush("one")

    world.on = flush
    assert seen(reading(world, others)) == EVERYTHING


STEPS = ("journals", "ask one", "ask two", "read one", "blocks")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("silent", [(), ("one",)])
def test_a_merge_right_behind_the_flush_shows_nothing_twice_and_misses_nothing(
    world: World, others: OtherHeads, step: str, silent: tuple[str, ...]
) -> None:
    """A merged block has not the cut of a head part: its rows are found to be there twice."""
    world.silent = set(silent)

    def flush(what: str) -> None:
        if what == step and world.heads["one"]:
            world.flush("one")
            world.merge("c0", "c1")

    world.on = flush
    assert seen(reading(world, others)) == EVERYTHING
    assert ("merged" in world.blocks) is (step in world.steps)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("silent", [(), ("one",)])
def test_an_adoption_at_any_step_shows_nothing_twice_and_misses_nothing(
    world: World, others: OtherHeads, step: str, silent: tuple[str, ...], *, known: bool
) -> None:
    world.silent = set(silent)

    def adopt(what: str) -> None:
        if what == step and "adopted" not in world.blocks:
            world.adopt("one", known=known)

    world.on = adopt
    assert seen(reading(world, others)) == EVERYTHING


def test_the_journal_of_one_that_does_not_answer_is_read_and_it_is_left_alone(
    world: World, others: OtherHeads
) -> None:
    world.silent = {"one"}
    for _ in range(2):
        request = reading(world, others)
        assert seen(request) == EVERYTHING
        assert request.warnings() == ()
    assert world.steps.count("ask one") == 1
    assert world.steps.count("read one") == 2
    assert world.steps.count("ask two") == 2


@pytest.mark.parametrize("state", [JournalState.ORPHANED, JournalState.ADOPTING])
def test_a_journal_without_a_writer_is_read(
    world: World, others: OtherHeads, state: JournalState
) -> None:
    world.rows[0] = row("one", state)
    assert seen(reading(world, others)) == EVERYTHING
    assert "ask one" not in world.steps


def test_what_cannot_be_read_at_all_is_told(world: World, others: OtherHeads) -> None:
    world.silent = world.unreadable = {"one"}
    request = reading(world, others)
    assert seen(request) == [entry(0), entry(3)]
    (text,) = request.warnings()
    assert "journal one" in text
    assert "503" in text
    with pytest.raises(PartialAnswerError, match="journal one"):
        seen(reading(world, others, Partial.REFUSE))


def test_a_damaged_commit_is_told(world: World, others: OtherHeads) -> None:
    world.silent, world.damaged = {"one"}, ["object journal/one/3 is damaged"]
    request = reading(world, others)
    assert seen(request) == EVERYTHING
    assert "journal/one/3" in request.warnings()[0]


def test_without_the_catalog_there_is_no_answer(world: World, others: OtherHeads) -> None:
    def away(what: str) -> None:
        if what == "journals":
            raise CatalogError("away")

    world.on = away
    with pytest.raises(CatalogError):
        seen(reading(world, others))


def test_what_others_send_is_charged(world: World, others: OtherHeads) -> None:
    world.heads["one"] = {"c1": [("a", 1, b"x" * 10_000, {})]}
    budget = Budget()
    budget.begin(Limits(max_query_memory=5_000))
    with pytest.raises(QueryMemoryError):
        seen(reading(world, others, budget=budget))
    enough = Budget()
    enough.begin(Limits(max_query_memory=50_000))
    assert len(seen(reading(world, others, budget=enough))) == 3
    assert enough.used >= 10_000
