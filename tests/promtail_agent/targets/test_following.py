"""Is every line read once, whatever happens to the files between two looks, and between two lives?

Readers without threads, servers or clocks: positions are taken as they would be acknowledged.
"""

import bz2
import gzip
import itertools
import os
import random
import shutil
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promtail_agent.entry import LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Position, PositionLedger, load_positions
from promtail_agent.targets.family import Family
from promtail_agent.targets.reader import FileReader
from promtail_agent.targets.rotation import family_of, is_rotated_name, oldest_first
from promtail_agent.targets.surroundings import UNFINISHED_S
from tests.reference.budget import examples

HOUR_S = 3600


class Life:
    """A reader between two kills; its clock is the test's."""

    def __init__(self, path: Path, start: Position | None = None, since_ns: int = 0) -> None:
        self.metrics = AgentMetrics()
        self.path, self.now_s = path, 0.0
        self.lines: list[str] = []
        self.reader = FileReader(
            path=str(path),
            labels=LabelSet({}),
            start=start,
            metrics=self.metrics,
            family=Family(),
            since_ns=since_ns,
        )
        self.position = self.reader.start_position()

    def look(self, for_s: float = 0.0) -> list[str]:
        """Read until there is nothing more, and then for so long; all lines of this life."""
        until_s = self.now_s + for_s
        while True:
            chunk = self.reader.read(self.now_s)
            if chunk is not None:
                self.lines += [line.decode() for line in chunk.lines]
                self.position = self.reader.position_after(chunk)
            elif self.now_s >= until_s:
                return self.lines
            else:
                self.now_s += 0.25

    def killed(self, saved: Path | None = None) -> Position | None:
        """The last position, as it comes out of the file on disk where that is given."""
        self.reader.close()
        if saved is None or self.position is None:
            return self.position
        ledger = PositionLedger(saved, 1, {})
        ledger.begin(self.position)
        ledger.save(self.metrics)
        return load_positions(saved, ignore_invalid=False)[str(self.path)]


_numbers = itertools.count()


def write(path: Path, count: int = 3, before: str = "") -> list[str]:
    """Append lines that nobody else has."""
    lines = [f"{before}line {next(_numbers)} of {path.name}" for _ in range(count)]
    with path.open("a") as out:
        out.writelines(f"{line}\n" for line in lines)
    return lines


def age(path: Path, seconds: float) -> None:
    """Make a file look as if it was written so long ago."""
    at_s = time.time() - seconds
    os.utime(path, (at_s, at_s))


# Between two lives


def rename_dated(path: Path, turn: int) -> None:
    path.rename(path.with_name(f"{path.name}.20260101-00000{turn}"))


def rename_numbered(path: Path, _turn: int) -> None:
    """As logrotate does: .1 is the newest."""
    for number in range(9, 0, -1):
        old = path.with_name(f"{path.name}.{number}")
        if old.exists():
            old.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def rename_inner(path: Path, turn: int) -> None:
    path.rename(path.with_name(f"{path.stem}-2026010{turn + 1}{path.suffix}"))


def copy_and_cut(path: Path, turn: int) -> None:
    shutil.copyfile(path, path.with_name(f"{path.name}.2026-01-0{turn + 1}"))
    os.truncate(path, 0)


def _pack(path: Path, name: str, packed: bytes) -> None:
    path.with_name(name).write_bytes(packed)
    path.unlink()


def gzip_at_once(path: Path, turn: int) -> None:
    _pack(path, f"{path.name}-2026010{turn + 1}.gz", gzip.compress(path.read_bytes()))


def bzip2_at_once(path: Path, turn: int) -> None:
    _pack(path, f"{path.name}-2026010{turn + 1}.bz2", bz2.compress(path.read_bytes()))


def deflate_at_once(path: Path, turn: int) -> None:
    _pack(path, f"{path.name}-2026010{turn + 1}.z", zlib.compress(path.read_bytes()))


def gzip_the_one_before(path: Path, turn: int) -> None:
    """As the kubelet does: all but the newest are compressed at the next rotation."""
    for old in path.parent.glob(f"{path.name}.20260101-??????"):
        old.with_name(f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
    rename_dated(path, turn)


ROTATIONS = (
    rename_dated,
    rename_numbered,
    rename_inner,
    copy_and_cut,
    gzip_at_once,
    bzip2_at_once,
    deflate_at_once,
    gzip_the_one_before,
)
Rotate = Callable[[Path, int], None]


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("rotations", [1, 2, 5])
@pytest.mark.parametrize("is_begun", [True, False])
def test_rotations_while_the_agent_is_away(
    rotate: Rotate, rotations: int, is_begun: bool, tmp_path: Path
) -> None:
    """Start, read (or be killed before any line), rotate so often, start: all lines once."""
    path = tmp_path / "app.log"
    expected = write(path)
    first = Life(path)
    if is_begun:
        first.look()
    else:
        expected = []
    start = first.killed(tmp_path / "positions.yaml")
    assert first.lines == expected
    written = list(expected) if is_begun else [line.strip() for line in path.open()]
    written += write(path)
    for turn in range(rotations):
        rotate(path, turn)
        time.sleep(0.005)  # the times of files tell which is the older
        written += write(path)
    second = Life(path, start)
    assert [*first.lines, *second.look(for_s=6)] == written
    assert not second.metrics.unread_lines


@pytest.mark.parametrize("rotate", ROTATIONS)
def test_rotations_between_two_looks(rotate: Rotate, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    written = write(path)
    life = Life(path)
    life.look()
    for turn in range(3):
        written += write(path)
        rotate(path, turn)
        time.sleep(0.005)
        written += write(path)
    assert life.look(for_s=1) == written
    written += write(path)
    assert life.look(for_s=6) == written
    assert not life.metrics.unread_lines


def rename_far(path: Path, turn: int) -> None:
    path.rename(path.with_name(f"{path.name}.{turn:06d}"))
    time.sleep(0.002)  # the times of files tell which is the older


@pytest.mark.parametrize("away", [40, 80])
def test_more_rotated_files_than_are_remembered(away: int, tmp_path: Path) -> None:
    """Read once, in whatever life: those that are not remembered one by one are by their time."""
    path = tmp_path / "app.log"
    written = write(path)
    first = Life(path)
    read = list(first.look())
    start = first.killed(tmp_path / "positions.yaml")
    turns = itertools.count()
    for _ in range(away):
        rename_far(path, next(turns))
        written += write(path)
    for _ in range(3):
        life = Life(path, start)
        life.look(for_s=1)
        for _ in range(3):
            rename_far(path, next(turns))
            written += write(path)
            life.look(for_s=1)
        read += life.look(for_s=20)
        assert read == written
        start = life.killed(tmp_path / "positions.yaml")
        assert start is not None
        assert start.beside is not None
        files = [(known.device, known.inode) for known in start.beside.known]
        assert len(files) == len(set(files)), "each file once"


def test_a_last_rotation_that_leaves_no_file(tmp_path: Path) -> None:
    """The writer has ended: what it wrote between two looks is there under another name alone."""
    path = tmp_path / "app.log"
    written = write(path)
    life = Life(path)
    life.look()
    for turn in range(3):
        written += write(path)
        rename_dated(path, turn)
        time.sleep(0.005)
    assert life.look(for_s=6) == written
    assert not life.metrics.unread_lines
    again = Life(path, life.killed(tmp_path / "positions.yaml"))
    assert again.look(for_s=6) == []


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.sampled_from("wwlrkaacz"), min_size=3, max_size=30), st.integers(0, 9))
def test_any_order_of_writing_looking_rotating_and_killing(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[str], seed: int
) -> None:
    """Positions hold as soon as lines are given out, so nothing comes twice either."""
    folder = tmp_path_factory.mktemp("any")
    path, chance = folder / "app.log", random.Random(seed)
    written, read = write(path), []
    life = Life(path)
    turn, late = 0, None
    for step in steps:
        if step == "w":
            written += write(path, chance.randrange(1, 4))
        elif step == "l":
            for_s = chance.choice((0.0, 1.0, 7.0))
            life.look(for_s)
            late = None if for_s > 5 else late
        elif step == "r" and path.exists():
            late = path.rename(folder / f"app.log.{20260101 + turn}")
            turn += 1
            time.sleep(0.002)
        elif step == "c" and path.exists() and path.stat().st_size:
            shutil.copyfile(path, folder / f"app.log.{20260101 + turn}")
            os.truncate(path, 0)
            turn += 1
            time.sleep(0.002)
        elif step == "z":
            for file in sorted(folder.glob("app.log.????????"))[-1:]:
                file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
                file.unlink()
                late = None
        elif step == "a" and late is not None:
            written += write(late, 1)
        elif step == "k":
            start = life.killed(folder / "positions.yaml")
            read += life.lines
            life = Life(path, start)
    if seed:  # else the writer has ended
        written += write(path)
    read += life.look(for_s=14)
    assert sorted(read) == sorted(written)
    assert not life.metrics.unread_lines


def test_a_position_without_a_first_line_finds_what_was_there(tmp_path: Path) -> None:
    """Killed after the new file was noted and before any of it was read; it is gone from there."""
    path = tmp_path / "app.log"
    path.touch()
    start = Life(path).killed(tmp_path / "positions.yaml")
    written = write(path)
    shutil.copyfile(path, tmp_path / "app.log.1")
    os.truncate(path, 0)
    written += write(path)
    assert Life(path, start).look() == written


def test_what_was_rotated_before_the_first_start_is_history(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    for name in ("app.log.1", "app.log.3"):
        write(tmp_path / name)
        age(tmp_path / name, HOUR_S)
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(b"old\n"))
    age(tmp_path / "app.log.2.gz", HOUR_S)
    written = write(path)
    life = Life(path, since_ns=time.time_ns() - 60 * 10**9)
    assert life.look() == written
    rename_numbered(path, 0)
    (tmp_path / "app.log.4").rename(tmp_path / "app.log.old")  # under another name, it stays so
    written += write(path)
    assert life.look(for_s=6) == written
    start = life.killed(tmp_path / "positions.yaml")
    (tmp_path / "app.log.old.gz").write_bytes(
        gzip.compress((tmp_path / "app.log.old").read_bytes())
    )
    (tmp_path / "app.log.old").unlink()
    rename_numbered(path, 0)
    new = write(path)
    assert Life(path, start).look(for_s=6) == new


def test_what_was_rotated_during_a_slow_first_start_is_read(tmp_path: Path) -> None:
    """The process was begun, and its modules were loading, when the file was moved aside."""
    path, since_ns = tmp_path / "app.log", time.time_ns()
    write(tmp_path / "app.log.1")
    age(tmp_path / "app.log.1", HOUR_S)
    time.sleep(0.02)
    written = write(path)
    path.rename(tmp_path / "app.log.2")
    written += write(path)
    assert Life(path, since_ns=since_ns).look(for_s=6) == written


def test_a_position_of_promtail_has_history_beside_it(tmp_path: Path) -> None:
    """A path and an offset are all that it saved."""
    path = tmp_path / "app.log"
    write(tmp_path / "app.log.1")
    write(path)
    size = path.stat().st_size
    new = write(path)
    assert Life(path, Position(path=str(path), offset=size)).look(for_s=6) == new


def test_a_position_of_an_agent_that_noted_no_neighbours(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    write(tmp_path / "app.log.1")
    age(tmp_path / "app.log.1", HOUR_S)
    write(path)
    first = Life(path)
    first.look()
    saved = first.killed()
    assert saved is not None
    start = Position(
        path=saved.path,
        offset=saved.offset,
        device=saved.device,
        inode=saved.inode,
        head=saved.head,
    )  # as it was saved then
    new = write(path)
    path.rename(tmp_path / "app.log.2")
    time.sleep(0.005)
    new += write(tmp_path / "app.log.3")
    time.sleep(0.005)
    new += write(path)
    assert Life(path, start).look(for_s=6) == new


def test_the_same_file_in_another_place_goes_on(tmp_path: Path) -> None:
    """A volume that is mounted anew has other numbers; an editor writes the file anew."""
    path = tmp_path / "app.log"
    written = write(path, 20)
    first = Life(path)
    first.look()
    start = first.killed(tmp_path / "positions.yaml")
    shutil.copyfile(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    new = write(path)
    second = Life(path, start)
    assert second.look() == new
    assert first.lines == written
    assert not second.metrics.unread_lines


def test_a_rest_that_is_gone_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    write(path)
    first = Life(path)
    first.look()
    start = first.killed()
    write(path)
    path.unlink()
    new = write(path)
    second = Life(path, start)
    assert second.look() == new
    assert second.metrics.unread_lines == {"rest_not_found": 1}
    assert second.metrics.rotations["rest_not_found"] == 1


def test_contents_after_a_rest_that_is_gone_are_read(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    write(path)
    first = Life(path)
    first.look()
    start = first.killed()
    path.rename(tmp_path / "app.log.1")
    between = write(path)
    path.rename(tmp_path / "app.log.2")
    (tmp_path / "app.log.1").unlink()
    new = write(path)
    assert Life(path, start).look(for_s=6) == between + new


def test_equal_begins_do_not_make_equal_contents(tmp_path: Path) -> None:
    """Every file begins with the same long banner; renamed and unread, or copied and read."""
    path, banner = tmp_path / "app.log", "=" * 400 + "\n"
    path.write_text(banner)
    written = write(path)
    life = Life(path)
    assert life.look() == [banner.strip(), *written]
    path.rename(tmp_path / "app.log.1")
    for name in ("app.log.2", "app.log"):
        time.sleep(0.005)
        (tmp_path / name).write_text(banner)
        written += [banner.strip(), *write(tmp_path / name)]
    assert life.look(for_s=6) == [banner.strip(), *written]
    shutil.copyfile(path, tmp_path / "app.log.3")
    (tmp_path / "app.log").write_text(banner)
    written += [banner.strip(), *write(path, 9)]  # longer than before: the size does not tell
    assert life.look(for_s=6) == [banner.strip(), *written]


def test_equal_lines_in_each_content(tmp_path: Path) -> None:
    """Without times nothing but the file itself tells one from the other."""
    path = tmp_path / "app.log"
    path.write_text("same\n" * 600)
    first = Life(path)
    assert len(first.look()) == 600
    start = first.killed(tmp_path / "positions.yaml")
    path.rename(tmp_path / "app.log.1")
    for number in (2, 3):
        time.sleep(0.005)
        path.write_text("same\n" * 600)
        path.rename(tmp_path / f"app.log.{number}")
    path.write_text("same\n" * 700)
    second = Life(path, start)
    assert len(second.look(for_s=6)) == 600 + 600 + 700


# Late lines


def test_lines_to_the_old_file_after_the_new_one_appeared(tmp_path: Path) -> None:
    """Two writers, one of which opens the new file late: 5 s of quiet are waited for."""
    path, old = tmp_path / "app.log", tmp_path / "app.log.1"
    written = write(path)
    life = Life(path)
    life.look()
    path.rename(old)
    new = write(path)
    life.look(for_s=1)
    assert life.lines == [*written, *new]  # it does not wait for what may come
    for _ in range(5):
        new += write(old)
        new += write(path)
        life.look(for_s=4.5)
    assert sorted(life.lines) == sorted([*written, *new])
    assert life.reader.is_turning
    life.look(for_s=5.5)
    assert not life.reader.is_turning  # the old file is let go


def test_late_lines_are_not_read_again_and_not_lost_by_a_kill(tmp_path: Path) -> None:
    path, old = tmp_path / "app.log", tmp_path / "app.log.1"
    write(path)
    first = Life(path)
    first.look()
    path.rename(old)
    write(path)
    first.look(for_s=1)
    write(old)
    first.look(for_s=1)
    start = first.killed(tmp_path / "positions.yaml")
    new = write(old) + write(path)
    second = Life(path, start)
    assert sorted(second.look(for_s=6)) == sorted(new)
    new += write(old)  # far too late: found at the next rotation
    second.look(for_s=6)
    path.rename(tmp_path / "app.log.2")
    new += write(path)
    assert sorted(second.look(for_s=6)) == sorted(new)


def test_a_busy_old_file_does_not_hold_up_its_successor(tmp_path: Path) -> None:
    path, old = tmp_path / "app.log", tmp_path / "app.log.1"
    write(path)
    life = Life(path)
    life.look()
    path.rename(old)
    new = write(path)
    while not set(new) <= set(life.lines):
        write(old, 1)
        life.look(for_s=0.25)
        assert life.now_s < 6
    assert life.now_s >= 4.5


def test_an_unfinished_line_of_the_old_file(tmp_path: Path) -> None:
    """Its writer may finish it late; if not it is given out as it is."""
    path, old = tmp_path / "app.log", tmp_path / "app.log.1"
    write(path)
    life = Life(path)
    life.look()
    for end, expected in ((" and end\n", "half and end"), ("", "half")):
        with path.open("a") as out:
            out.write("half")
        path.rename(old)
        write(path)
        life.look(for_s=1)
        assert life.lines[-1] != "half"
        with old.open("a") as out:
            out.write(end)
        assert life.look(for_s=6)[-1] == expected


# Compressed ones


def test_a_file_that_is_being_compressed_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    write(path)
    first = Life(path)
    first.look()
    start = first.killed()
    path.rename(tmp_path / "app.log.1")
    unread = write(tmp_path / "unread", 3000)
    packed = gzip.compress((tmp_path / "unread").read_bytes())
    (tmp_path / "app.log.2.gz").write_bytes(packed[: len(packed) // 2])
    new = write(path)
    second = Life(path, start)
    assert second.look(for_s=2) == new
    (tmp_path / "app.log.2.gz").write_bytes(packed)
    assert second.look(for_s=1) == new + unread


def test_a_compressed_file_that_was_cut_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    write(path)
    first = Life(path)
    first.look()
    start = first.killed()
    path.rename(tmp_path / "app.log.1")
    unread = write(tmp_path / "unread", 3000)
    packed = gzip.compress((tmp_path / "unread").read_bytes())
    (tmp_path / "app.log.2.gz").write_bytes(packed[: len(packed) // 2])
    age(tmp_path / "app.log.2.gz", UNFINISHED_S + 1)
    new = write(path)
    second = Life(path, start)
    lines = second.look(for_s=2)
    assert lines[-3:] == new
    came = lines[:-3]
    assert 100 < len(came) < 3000
    assert came[:-1] == unread[: len(came) - 1]
    assert second.metrics.unread_lines == {"damaged": 1}


# Names


@pytest.mark.parametrize(
    ("name", "of", "expected"),
    [
        ("app.log.1", "app.log", True),
        ("app.log.10.gz", "app.log", True),
        ("app.log.gz", "app.log", True),
        ("app.log-20260102", "app.log", True),
        ("app.log.2026-01-02T10:00:00.000.bz2", "app.log", True),
        ("0.log.20250101-000000.gz", "0.log", True),
        ("app.log_2026-Jan-02", "app.log", True),
        ("app.log.old", "app.log", True),
        ("messages-20260102", "messages", True),
        ("app-20260102.log", "app.log", True),
        ("app.2026-01-02.1.log.gz", "app.log", True),
        ("app.1.log", "app.log", True),
        ("app-2.log", "app.log", False),  # another worker's
        ("app-error.log", "app.log", False),
        ("app.log.swp", "app.log", False),
        ("app.log.offset", "app.log", False),
        ("app.log.json", "app.log", False),
        ("app.log", "app.log", False),
        ("application.log.1", "app.log", False),
        ("error.log", "error", False),
        ("app.log2", "app.log", False),
    ],
)
def test_rotated_names(name: str, of: str, expected: bool) -> None:
    assert is_rotated_name(name, of) is expected
    if expected:
        assert family_of(f"/var/log/{name}") == family_of(f"/var/log/{of}") == f"/var/log/{of}"


@pytest.mark.parametrize("odd", ["1" * 200 + "!", "-1" * 100 + "!", "20260102" * 25 + "x!"])
def test_odd_names_cost_no_time(odd: str) -> None:
    begin_s = time.process_time()
    for base in ("app", "app-2026-01"):
        name = f"{base}{odd}.log"[:255]
        assert not is_rotated_name(name, "app.log")
        family_of(f"/{name}")
    assert time.process_time() - begin_s < 1


def test_the_oldest_is_first(tmp_path: Path) -> None:
    """A dated file that was compressed later than its successor was written is still the older."""
    from promtail_agent.targets.rotation import neighbours

    dated = ["0.log.20260101-100000.gz", "0.log.20260101-120000", "0.log.20260102-000000"]
    for seconds, name in zip((1, 30, 20), dated, strict=True):
        (tmp_path / name).write_text("x\n")
        age(tmp_path / name, seconds)
    found = neighbours(str(tmp_path / "0.log"))
    assert [Path(n.path).name for n in found] == dated
    (tmp_path / "0.log.1").write_text("x\n")
    age(tmp_path / "0.log.1", 25)
    names = [Path(n.path).name for n in oldest_first(neighbours(str(tmp_path / "0.log")))]
    assert names == [dated[1], "0.log.1", dated[2], dated[0]]
