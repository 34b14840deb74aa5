"""Is a record forgotten only when a visible block holds it, whatever happens between the steps?"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingester.commit import Ledger, LedgerError, commit
from narfi.core.tenant import TenantId
from storage.journal.base import JournalError, Record
from storage.journal.file import FileJournal
from tests.reference.budget import examples
from tests.schedules import Schedule, drawn

TENANT = TenantId("t")


def record(body: bytes) -> Record:
    """A push of the tenant."""
    return Record(tenant=TENANT, received_ns=0, codec=1, decided=b"", body=body)


def ready() -> Ledger:
    """A ledger after an empty replay; a durable record that cannot be applied raises there."""
    ledger = Ledger(end=lambda _: None)
    ledger.recovered()
    return ledger


def test_a_record_goes_from_durable_to_forgotten() -> None:
    ledger = ready()
    assert ledger.forgettable() == 0
    ledger.durable([1, 2, 3])
    assert ledger.forgettable() == 0, "nothing is applied"
    ledger.apply(1, lambda _: "part a")
    ledger.apply(2, lambda _: "part a")
    assert ledger.forgettable() == 0, "nothing is flushed"
    ledger.flushed("part a")
    assert ledger.forgettable() == 2, "record 3 is durable only"
    ledger.apply(3, lambda _: "part b")
    assert ledger.forgettable() == 2
    ledger.flushed("part b")
    assert ledger.forgettable() == 3


def test_the_oldest_part_of_any_tenant_counts() -> None:
    ledger = ready()
    ledger.durable([1, 2])
    ledger.apply(1, lambda _: "slow tenant")
    ledger.apply(2, lambda _: "fast tenant")
    ledger.flushed("fast tenant")
    assert ledger.forgettable() == 0
    ledger.flushed("slow tenant")
    assert ledger.forgettable() == 2


def test_nothing_is_forgettable_while_the_journal_is_replayed() -> None:
    ledger = Ledger(end=lambda _: None)
    ledger.replayed(1, None)
    ledger.replayed(2, None)
    assert ledger.forgettable() == 0, "records 3 and later were not seen yet"
    ledger.replayed(3, lambda _: "part")
    ledger.recovered()
    assert ledger.forgettable() == 2
    ledger.flushed("part")
    assert ledger.forgettable() == 3


def test_a_durable_record_that_cannot_be_applied_ends_the_process(tmp_path: Path) -> None:
    ended: list[str] = []
    ledger = Ledger(end=ended.append)
    ledger.recovered()
    journal = FileJournal(tmp_path)
    journal.when_durable(ledger.durable)

    def fail(_position: int) -> str:
        raise OSError(12, "Cannot allocate memory")

    with pytest.raises(OSError, match="Cannot allocate memory"):
        commit(journal, ledger, record(b"x"), fail)
    assert len(ended) == 1
    assert "record 1 is durable and cannot be applied" in ended[0]
    assert ledger.forgettable() == 0
    with pytest.raises((LedgerError, JournalError)):
        commit(journal, ledger, record(b"y"), lambda _: "part")
    journal.close()


def test_new_positions_lie_above_every_watermark(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.append(record(b"a"))
    journal.skip_to(9)
    assert journal.append(record(b"b")) == 10
    journal.skip_to(3)
    assert journal.append(record(b"c")) == 11
    journal.close()


class Model:
    """Pushes, cuts and truncations as threads of a schedule, over a real journal in a folder."""

    def __init__(self, folder: Path, schedule: Schedule) -> None:
        self.schedule = schedule
        self.ledger = Ledger(end=lambda _: None, threads=schedule)
        self.ledger.recovered()
        self.journal = FileJournal(folder, segment_bytes=1, threads=schedule)  # a segment a commit
        self.journal.when_durable(self._durable)
        self.active = "part 0"
        self.parts: dict[str, set[int]] = {"part 0": set()}
        self.applied: list[int] = []
        self.flushed: set[int] = set()

    def _durable(self, positions: object) -> None:
        self.schedule.pause()  # durable on disk, and the ledger does not know yet
        self.ledger.durable(positions)  # type: ignore[arg-type]
        self.schedule.pause()

    def push(self) -> None:
        """One push of one record."""

        def put(position: int) -> str:
            self.schedule.pause()
            self.applied.append(position)
            self.parts[self.active].add(position)
            return self.active

        commit(self.journal, self.ledger, record(b"body"), put)

    def flush(self) -> None:
        """Cut the active part, publish it, and delete what may be deleted."""
        name, self.active = self.active, f"part {len(self.parts)}"
        self.parts[self.active] = set()
        self.schedule.pause()
        self.flushed |= self.parts[name]
        self.ledger.flushed(name)
        self.schedule.pause()
        self.journal.truncate(self.ledger.forgettable())


@settings(max_examples=examples(400))
@given(st.integers(0, 2**32), st.lists(st.sampled_from(["push", "flush"]), min_size=1, max_size=8))
def test_what_is_not_flushed_is_in_the_journal_in_every_schedule(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: list[str]
) -> None:
    schedule = Schedule(drawn(seed))
    folder = tmp_path_factory.mktemp("journal")
    model = Model(folder, schedule)
    for number, step in enumerate(steps):
        schedule.start(f"{step} {number}", model.push if step == "push" else model.flush)
    schedule.run()
    model.journal.close()
    assert model.applied == sorted(model.applied), "heads take batches in the journal's order"
    again = FileJournal(folder)
    kept = {record.position for record in again.replay(lambda damage: pytest.fail(str(damage)))}
    again.close()
    assert len(model.applied) == steps.count("push")
    assert set(model.applied) - model.flushed <= kept
