"""Does a block go into quarantine for damage alone, and does it come back when it is whole?"""

import pickle
import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from narfi.core.errors import AppError
from storage.block.footer import DamagedBlockError
from storage.block.layout import block_id_of, block_prefix
from storage.block.quarantine import Quarantine
from storage.catalog.base import BlockRow
from storage.objects.base import (
    BadObjectError,
    NotAnObjectError,
    ObjectError,
    ObjectMissingError,
)
from storage.objects.faulty import Faults, FaultyObjects, InjectedError
from tests.storage.form import OBJECTS, ORDINARY, Form
from tests.storage.stored import DAY, NOW, Stored

BLOCKS = 3
LINES = ORDINARY.entries


@pytest.fixture
def rows(stored: Stored) -> list[BlockRow]:
    """The rows of a few blocks, oldest first."""
    return [
        stored.add([("a", NOW - DAY * (BLOCKS - n) + k, b"line %d" % k, {}) for k in range(50)])
        for n in range(BLOCKS)
    ]


def folder(stored: Stored, row: BlockRow) -> Path:
    """Where the objects of a block lie."""
    return stored.folder / "objects" / block_prefix(row.tenant, row.min_ts, row.block_id)


def key(row: BlockRow, name: str = LINES) -> str:
    """Of an object of a block."""
    return f"{block_prefix(row.tenant, row.min_ts, row.block_id)}/{name}"


def flip(path: Path) -> None:
    """Change a byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def held(quarantine: Quarantine) -> set[str]:
    """Ids of the blocks in quarantine."""
    return {found.row.block_id for found in quarantine.blocks()}


@pytest.mark.parametrize(("form", "name"), OBJECTS, indirect=["form"])
def test_changed_bytes_are_damage_until_they_are_as_before(
    form: Form, stored: Stored, rows: list[BlockRow], name: str
) -> None:
    path, quarantine = folder(stored, rows[0]) / name, stored.store.quarantine
    good = path.read_bytes()
    flip(path)
    with capture_logs() as logged:
        for _ in range(3):
            quarantine.judge(DamagedBlockError(key(rows[0], name), "seen by a test"))
    assert held(quarantine) == {rows[0].block_id}
    assert [record["block"] for record in logged] == [rows[0].block_id], "told once"
    (found,) = quarantine.blocks()
    unknown = {form.commit, form.opening}
    assert (found.table is None) == (name in unknown), "streams are trusted that are vouched for"
    assert quarantine.look_again() == 0
    assert rows[0].block_id in quarantine
    path.write_bytes(good)
    assert quarantine.look_again() == 1
    assert len(quarantine) == 0


@pytest.mark.parametrize("lies_there", ["nothing", "folder", "link"])
def test_an_object_that_is_none_is_damage(
    stored: Stored, rows: list[BlockRow], lies_there: str
) -> None:
    path = folder(stored, rows[1]) / LINES
    path.unlink()
    if lies_there == "folder":
        path.mkdir()
    elif lies_there == "link":
        path.symlink_to(path.name)
    with pytest.raises((NotAnObjectError, ObjectMissingError)) as caught:
        stored.objects.get(key(rows[1]))
    stored.store.judge(caught.value)
    assert held(stored.store.quarantine) == {rows[1].block_id}


def test_a_block_of_which_nothing_is_left_is_damage_while_others_are_there(
    stored: Stored, rows: list[BlockRow]
) -> None:
    shutil.rmtree(folder(stored, rows[0]))
    stored.store.judge(ObjectMissingError(key(rows[0])))
    assert held(stored.store.quarantine) == {rows[0].block_id}


@pytest.mark.parametrize("left", ["no folder", "an empty folder"])
def test_everything_gone_is_an_outage(stored: Stored, rows: list[BlockRow], left: str) -> None:
    aside = stored.folder / "aside"
    (stored.folder / "objects").rename(aside)
    if left == "an empty folder":
        (stored.folder / "objects").mkdir()
    for row in rows:
        with pytest.raises(ObjectError, match="not where it was") as caught:
            stored.store.judge(ObjectMissingError(key(row)))
        assert not isinstance(caught.value, BadObjectError)
    assert len(stored.store.quarantine) == 0


def test_a_removed_block_is_not_damaged(stored: Stored, rows: list[BlockRow]) -> None:
    stored.catalog.replace([rows[0].block_id], [])
    shutil.rmtree(folder(stored, rows[0]))
    stored.store.judge(ObjectMissingError(key(rows[0])), again=True)
    assert len(stored.store.quarantine) == 0


def test_a_block_that_is_removed_leaves(stored: Stored, rows: list[BlockRow]) -> None:
    flip(folder(stored, rows[0]) / LINES)
    stored.store.judge(DamagedBlockError(key(rows[0]), ""))
    stored.catalog.replace([rows[0].block_id], [])
    assert stored.store.quarantine.look_again() == 1
    assert len(stored.store.quarantine) == 0


def test_a_whole_block_is_read_again_and_then_given_up(
    stored: Stored, rows: list[BlockRow]
) -> None:
    error, quarantine = DamagedBlockError(key(rows[0]), "nonsense"), stored.store.quarantine
    quarantine.judge(error)
    assert len(quarantine) == 0
    quarantine.judge(error, again=True)
    (found,) = quarantine.blocks()
    assert "nonsense" in found.what
    assert quarantine.look_again() == 0, "its bytes are as they were: it would fail again"


def test_an_outage_at_any_read_is_no_damage(stored: Stored, rows: list[BlockRow]) -> None:
    """Also while a damaged block is judged, and when it is looked at again."""
    flip(folder(stored, rows[0]) / LINES)
    counting = Faults()
    judging = Quarantine(
        stored.catalog, FaultyObjects(stored.objects, counting, reads=True), stored.clock
    )
    judging.judge(DamagedBlockError(key(rows[0]), ""))
    assert held(judging) == {rows[0].block_id}
    assert counting.steps > 3
    for step in range(counting.steps - 1):  # the last one is for its streams
        objects = FaultyObjects(stored.objects, Faults(step, dead=True), reads=True)
        quarantine = Quarantine(stored.catalog, objects, stored.clock)
        for row in rows:
            with pytest.raises(ObjectError) as caught:
                quarantine.judge(DamagedBlockError(key(row), ""), again=True)
            assert not isinstance(caught.value, BadObjectError)
        assert len(quarantine) == 0
    faults = Faults()
    objects = FaultyObjects(stored.objects, faults, reads=True)
    quarantine = Quarantine(stored.catalog, objects, stored.clock)
    quarantine.judge(DamagedBlockError(key(rows[0]), ""))
    faults.fail_at(faults.steps)
    with pytest.raises(ObjectError):
        quarantine.look_again()
    assert held(quarantine) == {rows[0].block_id}, "nothing is known of it"


def test_many_that_meet_it_at_once_read_it_once(stored: Stored, rows: list[BlockRow]) -> None:
    flip(folder(stored, rows[0]) / LINES)
    faults = Faults()
    objects = FaultyObjects(stored.objects, faults, reads=True)
    quarantine = Quarantine(stored.catalog, objects, stored.clock)
    threads = [
        threading.Thread(target=quarantine.judge, args=[DamagedBlockError(key(rows[0]), "")])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    once = faults.steps
    assert held(quarantine) == {rows[0].block_id}
    fresh = Quarantine(stored.catalog, objects, stored.clock)
    fresh.judge(DamagedBlockError(key(rows[0]), ""))
    assert faults.steps == 2 * once


def test_an_error_of_no_block_is_raised(stored: Stored) -> None:
    with pytest.raises(ObjectMissingError):
        stored.store.judge(ObjectMissingError("lost+found/x"))


@pytest.mark.parametrize(
    "error",
    [
        DamagedBlockError("blocks/t/d/b/f", ValueError("x")),
        ObjectMissingError("blocks/t/d/b/f"),
        NotAnObjectError("blocks/t/d/b/f", "Is a directory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_other_processes_are_whole(error: BadObjectError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert (found.message, found.key, found.kind) == (error.message, error.key, error.kind)
    assert block_id_of(found.key) == "b"


def test_a_rewrite_puts_a_damaged_block_into_quarantine(
    form: Form, stored: Stored, rows: list[BlockRow]
) -> None:
    flip(folder(stored, rows[0]) / form.opening)
    with pytest.raises(DamagedBlockError), stored.store.opened(rows):
        pass
    assert held(stored.store.quarantine) == {rows[0].block_id}


def test_a_rewrite_that_cannot_read_is_no_damage(stored: Stored, rows: list[BlockRow]) -> None:
    with pytest.raises(InjectedError), stored.store.opened(rows):
        raise InjectedError("the disk is away")
    assert len(stored.store.quarantine) == 0


class Spent(AppError):
    """The time of who met the block is over."""


def refusing(_size: int) -> AbstractContextManager[object]:
    raise Spent("no time")


def test_who_has_no_time_leaves_a_suspect_for_the_next_look(
    stored: Stored, rows: list[BlockRow]
) -> None:
    quarantine = stored.store.quarantine
    flip(folder(stored, rows[0]) / LINES)
    for row in rows[:2]:  # one is damaged, one whole
        with pytest.raises(Spent):
            stored.store.judge(DamagedBlockError(key(row), "seen by a test"), allow=refusing)
    assert len(quarantine) == 0
    quarantine.look_again()
    assert held(quarantine) == {rows[0].block_id}
    assert quarantine._suspects == {}


def test_every_object_is_asked_for_before_it_is_read(
    form: Form, stored: Stored, rows: list[BlockRow]
) -> None:
    asked: list[int] = []
    holding = [0, 0]

    @contextmanager
    def counted(size: int) -> Iterator[None]:
        asked.append(size)
        holding[0] += 1
        holding[1] = max(holding)
        yield
        holding[0] -= 1

    stored.store.judge(DamagedBlockError(key(rows[0]), "seen by a test"), allow=counted)
    files = folder(stored, rows[0]).iterdir()
    assert sorted(asked) == sorted(f.stat().st_size for f in files if f.name != form.commit)
    assert holding == [0, 1], "one at a time"


def test_who_waits_for_another_looks_at_the_time(stored: Stored, rows: list[BlockRow]) -> None:
    quarantine = stored.store.quarantine
    with quarantine._judging, pytest.raises(Spent):
        quarantine.judge(DamagedBlockError(key(rows[0]), "seen by a test"), allow=refusing)
