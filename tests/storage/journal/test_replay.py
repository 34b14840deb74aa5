"""Is damage told and kept small, and is a torn tail, at this start and every later one, silent?"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from storage.journal.base import Damage, JournalError, Record, StoredRecord
from storage.journal.file import FileJournal
from storage.journal.segment import HEADER_BYTES, segment_paths
from storage.journal.stored_record import encode_record

TENANT = TenantId("t")


def record(number: int) -> Record:
    """A push with a body of its own; received at `number` ns."""
    body = b"body %04d " % number * 10
    return Record(tenant=TENANT, received_ns=number, codec=1, decided=b"", body=body)


class Opened:
    """A journal as a new process finds it."""

    def __init__(self, folder: Path) -> None:
        self.journal = FileJournal(folder)
        self.damage: list[Damage] = []
        self.records = list(self.journal.replay(self.damage.append))

    @property
    def positions(self) -> list[int]:
        """Those of the records."""
        return [record.position for record in self.records]

    @property
    def missing(self) -> list[tuple[int, int]]:
        """First and last position of each place that was told."""
        return [(found.first, found.last) for found in self.damage]


def reopen(folder: Path, pushes: int = 0) -> Opened:
    """Open, push, close."""
    opened = Opened(folder)
    for _ in range(pushes):
        opened.journal.append(record(opened.journal.last_position() + 1))
    opened.journal.close()
    return opened


def flip(path: Path, offset: int) -> None:
    """Damage one byte."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal of two segments: records 1 to 4, then 5 to 8."""
    reopen(tmp_path, 4)
    reopen(tmp_path, 4)
    return tmp_path


def segments(folder: Path) -> tuple[Path, Path]:
    """The older and the newer one."""
    older, newer = segment_paths(folder)
    return older, newer


def record_size(number: int) -> int:
    """Bytes of one of the records on disk."""
    kept = StoredRecord(
        position=number,
        commit=number,
        tenant=TENANT,
        received_ns=number,
        codec=1,
        decided=b"",
        body=record(number).body,
    )
    return sum(len(piece) for piece in encode_record(kept, "x" * 36))


def test_what_is_whole_is_replayed_in_silence(folder: Path) -> None:
    opened = reopen(folder)
    assert opened.positions == [1, 2, 3, 4, 5, 6, 7, 8]
    assert opened.damage == []


@pytest.mark.parametrize("torn", [1, 20, 43])
def test_a_torn_commit_is_silent_at_every_start(folder: Path, torn: int) -> None:
    """Bytes of a commit that was never acknowledged, as a crash leaves them."""
    half = b"".join(
        encode_record(
            StoredRecord(
                position=9,
                commit=9,
                tenant=TENANT,
                received_ns=9,
                codec=1,
                decided=b"",
                body=record(9).body,
            ),
            (folder / "id").read_text().strip(),
        )
    )[:-torn]
    newest = segments(folder)[1]
    newest.write_bytes(newest.read_bytes() + half)
    for _ in range(3):
        opened = reopen(folder, 1)
        assert opened.damage == []
    assert reopen(folder).positions == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("record", "missing", "after_ns", "before_ns"),
    [(1, (1, 1), None, 2), (2, (2, 2), 1, 3), (4, (4, 4), 3, 5)],
)
def test_a_damaged_record_of_an_older_segment_is_the_only_one_lost(
    folder: Path,
    record: int,
    missing: tuple[int, int],
    after_ns: int | None,
    before_ns: int,
) -> None:
    flip(segments(folder)[0], HEADER_BYTES + (record - 1) * record_size(1) + 60)
    opened = reopen(folder)
    assert opened.positions == [p for p in range(1, 9) if p != record]
    assert opened.missing == [missing]
    assert opened.damage[0].after_ns == after_ns
    assert opened.damage[0].before_ns == before_ns
    assert opened.journal.counters.damaged == opened.journal.counters.lost == 1


@pytest.mark.parametrize(
    ("harm", "left", "missing"),
    [
        (lambda path: flip(path, HEADER_BYTES + 60), [6, 7, 8], (5, 5)),
        (lambda path: flip(path, HEADER_BYTES + 2 * record_size(5) + 60), [5, 6, 8], (7, 7)),
        (lambda path: flip(path, path.stat().st_size - 1), [5, 6, 7], (8, 8)),
        (
            lambda path: os.truncate(path, HEADER_BYTES + 2 * record_size(5) + 30),
            [5, 6],
            (7, 8),
        ),
        (lambda path: os.truncate(path, 0), [], (5, 8)),
        (lambda path: flip(path, 0), [5, 6, 7, 8], None),
        (lambda path: path.unlink(), [], (5, 8)),
    ],
    ids=["first record", "middle", "last byte", "cut", "empty", "header's magic", "deleted"],
)
def test_damage_to_the_newest_segment_is_told_and_nothing_pushed_later_is_lost(
    folder: Path, harm: Callable[[Path], None], left: list[int], missing: tuple[int, int] | None
) -> None:
    harm(segments(folder)[1])
    opened = reopen(folder, 3)
    assert opened.positions == [1, 2, 3, 4, *left]
    assert opened.missing == ([missing] if missing else [])
    again = reopen(folder)
    assert again.positions == [1, 2, 3, 4, *left, 9, 10, 11], "positions are not given twice"


def test_all_segments_gone_are_told(folder: Path) -> None:
    for path in segments(folder):
        path.unlink()
    opened = reopen(folder, 1)
    assert opened.missing == [(1, 8)]
    assert reopen(folder).positions == [9]


def test_a_segment_missing_in_the_middle_is_told(folder: Path) -> None:
    reopen(folder, 2)
    segment_paths(folder)[1].unlink()
    opened = reopen(folder)
    assert opened.positions == [1, 2, 3, 4, 9, 10]
    assert opened.missing == [(5, 8)]
    assert (opened.damage[0].after_ns, opened.damage[0].before_ns) == (4, 9)


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("source", [0, 2, 3])
def test_the_content_of_another_segment_costs_the_records_that_it_replaced(
    tmp_path: Path, place: int, source: int
) -> None:
    folder = tmp_path / "journal"
    for _ in range(4):
        reopen(folder, 2)  # a segment each
    whole = reopen(folder).positions
    paths = segment_paths(folder)
    assert whole == [1, 2, 3, 4, 5, 6, 7, 8]
    paths[place].write_bytes(paths[source].read_bytes())
    opened = reopen(folder)
    gone = [] if place == source else [2 * place + 1, 2 * place + 2]
    assert opened.positions == [position for position in whole if position not in gone]
    assert opened.missing == ([(gone[0], gone[1])] if gone else [])


@pytest.mark.parametrize("name", ["00000000000000000001.journal", "id", "mark"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "unreadable"])
def test_what_cannot_be_read_is_refused_and_named(tmp_path: Path, name: str, kind: str) -> None:
    folder = tmp_path / "journal"
    reopen(folder, 2)
    path = folder / name
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(name)  # to itself: root may read what no one may
    for _ in range(2):
        with pytest.raises(JournalError, match=rf"/{name} cannot be read: .* move it away"):
            Opened(folder)


def test_a_journal_without_its_id_says_what_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    reopen(folder, 1)
    written = (folder / "id").read_text()
    (folder / "id").unlink()
    with pytest.raises(JournalError, match=f"segments are there: write {written.strip()} into it"):
        reopen(folder)
    (folder / "id").write_text(written)
    assert reopen(folder).positions == [1]


def test_what_may_be_forgotten_is_not_missed(folder: Path) -> None:
    journal = FileJournal(folder)
    list(journal.replay(lambda damage: pytest.fail(str(damage))))
    journal.truncate(6)
    journal.close()
    assert [path.name for path in segment_paths(folder)] == ["00000000000000000005.journal"]
    flip(segment_paths(folder)[0], HEADER_BYTES + 60)  # record 5, which is in a block
    opened = reopen(folder)
    assert opened.positions == [6, 7, 8]
    assert opened.damage == []


def test_without_a_mark_only_what_segments_say_is_told(folder: Path) -> None:
    """A journal of a version that kept no mark, or whose mark is damaged."""
    (folder / "mark").write_bytes(b"NFJM damaged")
    segments(folder)[0].unlink()
    os.truncate(segment_paths(folder)[0], HEADER_BYTES + record_size(5) + 5)
    opened = reopen(folder, 1)
    assert opened.positions == [5]
    assert opened.damage == []
    assert reopen(folder).damage == []


def test_stray_files_are_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "notes.journal").write_text("mine")
    (folder / "notes.txt").write_text("mine")
    assert reopen(folder).positions == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (folder / "notes.journal").exists()
    assert "a file that is no segment lies in the journal" in capsys.readouterr().out


def test_pushed_bytes_are_never_taken_for_a_record(tmp_path: Path) -> None:
    """A body holds a record as a client could make it, without knowing the journal's id."""
    forged = b"".join(
        encode_record(
            StoredRecord(
                position=2,
                commit=2,
                tenant=TenantId("victim"),
                received_ns=0,
                codec=1,
                decided=b"",
                body=b"forged",
            ),
            "",
        )
    )
    journal = FileJournal(tmp_path)
    journal.append(
        Record(tenant=TENANT, received_ns=1, codec=1, decided=b"", body=b"x" * 9 + forged)
    )
    journal.append(record(2))
    journal.close()
    flip(segment_paths(tmp_path)[0], HEADER_BYTES + 60)
    opened = reopen(tmp_path)
    assert [record.tenant for record in opened.records] == [TENANT]
    assert opened.missing == [(1, 1)]


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_of_a_header_makes_no_record_pass_for_a_refused_one(
    folder: Path, bit: int
) -> None:
    """The header's last durable position says which records before it were refused."""
    whole = segments(folder)[1].read_bytes()
    for offset in range(HEADER_BYTES):
        content = bytearray(whole)
        content[offset] ^= 1 << bit
        segments(folder)[1].write_bytes(content)
        opened = Opened(folder)
        opened.journal.close()
        assert opened.positions == list(range(1, 9)), f"byte {offset}"
        assert opened.missing == []


@given(st.data())
def test_any_one_flipped_or_cut_byte_loses_at_most_what_is_told(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    counts = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4), "pushes")
    for count in counts:
        reopen(folder, count)
    total = sum(counts)
    paths = segment_paths(folder)
    if not paths:
        return
    path = data.draw(st.sampled_from(paths), "segment")
    offset = data.draw(st.integers(0, path.stat().st_size - 1), "offset")
    if data.draw(st.booleans(), "cut"):
        os.truncate(path, offset)
    else:
        flip(path, offset)
    opened = reopen(folder, 1)
    told = {p for first, last in opened.missing for p in range(first, last + 1)}
    assert told | set(opened.positions) == set(range(1, total + 1))
    assert not told & set(opened.positions)
    assert max(reopen(folder).positions) == total + 1
