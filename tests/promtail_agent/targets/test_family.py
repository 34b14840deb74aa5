"""Is a content read once where the pattern matches its rotated names too? Also over kills.

A source without threads: what it gives out is acknowledged at once, or only now and then.
"""

import gzip
import itertools
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promtail_agent.discovery.base import Target
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Mark, Position, PositionLedger, load_positions
from promtail_agent.reading import entries_of
from promtail_agent.targets.compressed import DecompressionConfig
from promtail_agent.targets.files import FileJob, FileSource
from tests.reference.budget import examples

_orders = itertools.count()
_numbers = itertools.count()


class Fixed:
    """A discovery of one pattern."""

    def __init__(self, pattern: str) -> None:
        self._targets: Sequence[Target] = [{"__path__": pattern, "job": "j"}]

    def start(self) -> None:
        """Nothing to begin."""

    def targets(self) -> Sequence[Target]:
        return self._targets

    def close(self) -> None:
        """Nothing to end."""


class Life:
    """A source between two kills; its clock is the test's."""

    def __init__(self, pattern: str, saved: Path, packed: str = "", since_ns: int = 0) -> None:
        found = load_positions(saved, ignore_invalid=False)
        self.ledger, self.metrics = PositionLedger(saved, 1, found), AgentMetrics()
        packing = DecompressionConfig.model_validate({"enabled": bool(packed), "format": packed})
        job = FileJob(name="j", rules=(), discoveries=[Fixed(pattern)], decompression=packing)
        self.source = FileSource(job, self.ledger, self.metrics, since_ns)
        self.now_s = time.monotonic()
        self.read: list[tuple[str, str]] = []  # the path's name, the line
        self.places: set[tuple[str, int, str]] = set()  # the path's name, the place, the line
        self._marks: dict[str, Mark] = {}
        self.look()

    def look(self, for_s: float = 0.0) -> list[str]:
        """Search files and read them for so long; all lines of this life."""
        until_s = self.now_s + for_s
        while True:
            list(self.source.rescan(self.now_s))
            self.ledger.save(self.metrics)
            busy = False
            for reader in self.source.readers():
                chunk = reader.read(self.now_s)
                if chunk is None:
                    continue
                busy, name = True, Path(reader.path).name
                if not chunk.offset:
                    self.ledger.begin(reader.position(chunk.generation, 0))
                for entry in entries_of(reader, chunk):
                    self.read.append((name, entry.line.decode()))
                    self.places.add((name, entry.place, entry.line.decode()))
                self._mark(reader.position_after(chunk))
            if not busy:
                if self.now_s >= until_s:
                    return [line for _, line in self.read]
                self.now_s += 0.25

    def _mark(self, position: Position) -> None:
        self._marks[position.path] = Mark(next(_orders), position)

    def acknowledge(self) -> None:
        """The server has everything that was read."""
        self.ledger.acknowledge(0, self._marks)
        self.ledger.save(self.metrics)

    def kill(self) -> None:
        """Nothing is saved any more."""
        self.source.close()


def write(path: Path, count: int = 3) -> list[str]:
    """Append lines that nobody else has, so long that they tell files apart."""
    lines = [f"line {next(_numbers):06d} {'x' * 60} of {path.name}" for _ in range(count)]
    with path.open("a") as out:
        out.writelines(f"{line}\n" for line in lines)
    return lines


def shift(path: Path, most: int = 9) -> None:
    """As logrotate does before it moves or copies the file."""
    for number in range(most, 0, -1):
        for end in ("", ".gz"):
            old = path.with_name(f"{path.name}.{number}{end}")
            if old.exists():
                old.rename(path.with_name(f"{path.name}.{number + 1}{end}"))


def rotate(path: Path, how: str) -> None:
    """One rotation of logrotate: `create`, `copytruncate`, and with `compress`."""
    shift(path)
    first = path.with_name(f"{path.name}.1")
    if "copy" in how:
        shutil.copy2(path, first)
        os.truncate(path, 0)
    else:
        path.rename(first)
        path.touch()
    if "compress" in how:
        packed = path.with_name(f"{path.name}.2.gz" if "delay" in how else f"{path.name}.1.gz")
        plain = path.with_name(packed.name.removesuffix(".gz"))
        if plain.exists():
            packed.write_bytes(gzip.compress(plain.read_bytes()))
            shutil.copystat(plain, packed)
            plain.unlink()


HOW = ["create", "copy", "create compress", "copy compress", "create delay compress"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("pattern", ["app.log*", "*"])
def test_rotated_names_that_match_are_not_read_again(
    how: str, pattern: str, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    path = logs / "app.log"
    written = write(path)
    life = Life(f"{logs}/{pattern}", tmp_path / "positions.yaml")
    for _ in range(5):
        written += write(path)
        life.look()
        written += write(path)  # not read yet when it is moved
        rotate(path, how)
        written += write(path)
        life.look(for_s=1)
    assert life.look(for_s=12) == written
    assert {name for name, _ in life.read} == {"app.log"}
    life.acknowledge()
    life.kill()
    written_later = write(path)
    rotate(path, how)
    again = Life(f"{logs}/{pattern}", tmp_path / "positions.yaml")
    written_later += write(path)
    assert again.look(for_s=12) == written_later
    assert {name for name, _ in again.read} == {"app.log"}


def test_rotated_files_of_before_the_first_start_are_read_where_they_match(tmp_path: Path) -> None:
    """As Promtail does, compressed ones too; and once, whatever they are called later."""
    logs = tmp_path / "logs"
    logs.mkdir()
    path = logs / "app.log"
    old = write(path)
    rotate(path, "create compress")
    old += write(path)
    rotate(path, "create")
    old += write(path)
    hour_ns = time.time_ns() + 3600 * 10**9
    life = Life(f"{logs}/app.log*", tmp_path / "positions.yaml", since_ns=hour_ns)
    assert sorted(life.look(for_s=1)) == sorted(old)
    assert {name for name, _ in life.read} == {"app.log", "app.log.1", "app.log.2.gz"}
    life.acknowledge()
    life.kill()
    new = write(path)
    rotate(path, "create")
    rotate(path, "create")
    new += write(path)
    assert Life(f"{logs}/app.log*", tmp_path / "positions.yaml").look(for_s=12) == new


def test_a_rotated_file_that_is_half_read_goes_on_under_its_new_name(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    path = logs / "app.log"
    first = logs / "app.log.1"
    old = write(first, 6000)  # more than a chunk
    write(path)
    life = Life(f"{logs}/app.log*", tmp_path / "p.yaml", since_ns=time.time_ns() + 10**9)
    assert set(old) <= set(life.look())
    saved = life.ledger.begin_at(str(first))
    assert saved is not None
    half = Position(
        path=saved.path,
        offset=len(old[0]) * 3000 + 3000,
        device=saved.device,
        inode=saved.inode,
        head=saved.head,
        beside=saved.beside,
    )
    life.acknowledge()
    life.ledger.acknowledge(0, {str(first): Mark(next(_orders), half)})
    life.ledger.save(life.metrics)
    life.kill()
    rotate(path, "create")
    again = Life(f"{logs}/app.log*", tmp_path / "p.yaml")
    assert again.look(for_s=6) == old[3000:]


def test_rotated_away_before_the_first_look(tmp_path: Path) -> None:
    """Nothing has the path's own name when a slow agent comes up; what is older stays history."""
    logs = tmp_path / "logs" / "pod"
    logs.mkdir(parents=True)
    path = logs / "0.log"
    write(path)
    path.rename(logs / "0.log.20260101-000000")
    time.sleep(0.02)
    since_ns = time.time_ns()
    time.sleep(0.02)
    written = []
    for number in (1, 2):
        written += write(path)
        path.rename(logs / f"0.log.20260101-00000{number}")
    life = Life(f"{tmp_path}/logs/*/*.log", tmp_path / "positions.yaml", since_ns=since_ns)
    assert life.look(for_s=1) == written
    written += write(path)
    assert life.look(for_s=1) == written
    assert {name for name, _ in life.read} == {"0.log"}


def test_an_old_file_that_comes_back_is_read_where_it_matches(tmp_path: Path) -> None:
    """Somebody puts a file there that was never read: Promtail would read it."""
    logs = tmp_path / "logs"
    logs.mkdir()
    written = write(logs / "app.log")
    life = Life(f"{logs}/app.log*", tmp_path / "positions.yaml")
    assert life.look() == written
    put = write(tmp_path / "app.log.7")
    (tmp_path / "app.log.7").rename(logs / "app.log.7")
    assert life.look(for_s=1) == written + put


def test_files_that_only_look_alike_are_all_read(tmp_path: Path) -> None:
    """Numbered logs of several workers, by address too, rotated each for itself."""
    logs = tmp_path / "logs"
    logs.mkdir()
    names = ["app-1.log", "app-2.log", "app.log", "10.0.0.1", "10.0.0.2", "out.1", "out.2"]
    expected: Counter[tuple[str, str]] = Counter()
    life = Life(f"{logs}/*", tmp_path / "positions.yaml")
    for turn in range(3):
        for name in names:
            expected.update((name, line) for line in write(logs / name))
        life.look(for_s=1)
        for name in ("app-1.log", "10.0.0.2"):
            (logs / name).rename(logs / f"{name}.2026010{turn + 1}")
    life.look(for_s=6)
    assert Counter(life.read) == expected


def test_late_lines_have_one_place_however_often_they_are_read(tmp_path: Path) -> None:
    """Read and sent, but not saved, when the agent was killed; the live file goes on."""
    path = tmp_path / "app.log"
    pattern, saved = f"{tmp_path}/*.log", tmp_path / "positions.yaml"
    write(path)
    life = Life(pattern, saved)
    for number in (1, 2):
        life.look()
        path.rename(tmp_path / f"app.log.{number}")
        write(path)
        life.look(for_s=1)
    life.acknowledge()
    late = write(tmp_path / "app.log.2")
    life.look()
    life.kill()
    again = Life(pattern, saved)
    assert again.look(for_s=6) == late
    assert again.places <= life.places


def test_compressed_files_that_are_numbered_anew(tmp_path: Path) -> None:
    """`decompression`: positions count lines, and follow the file."""
    logs = tmp_path / "logs"
    logs.mkdir()
    path = logs / "app.log"
    pattern, saved = f"{logs}/*.gz", tmp_path / "positions.yaml"
    written = write(path, 5)
    rotate(path, "create compress")
    life = Life(pattern, saved, "gz")
    for _ in range(3):
        assert life.look(for_s=1) == written
        written += write(path, 2)
        rotate(path, "create compress")
    assert life.look(for_s=1) == written
    life.acknowledge()
    life.kill()
    new = write(path, 9)
    rotate(path, "create compress")
    assert Life(pattern, saved, "gz").look(for_s=1) == new


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.sampled_from("wwlsrcdak"), min_size=3, max_size=25),
    st.integers(0, 9),
    st.booleans(),
)
def test_any_order_of_writing_looking_rotating_and_killing(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[str], seed: int, is_saved: bool
) -> None:
    """Each line comes under one name and at one place only, however often it is read.

    Once where everything is saved at each kill.
    """
    folder = tmp_path_factory.mktemp("any")
    logs, saved = folder / "logs", folder / "positions.yaml"
    logs.mkdir()
    path, chance = logs / "app.log", random.Random(seed)
    written, read = write(path), []
    places: set[tuple[str, int, str]] = set()
    life = Life(f"{logs}/app.log*", saved)
    hows = {"r": "create", "c": "copy", "d": "create delay compress"}
    late = False
    for step in steps:
        if step == "w":
            written += write(path, chance.randrange(1, 4))
        elif step == "l":
            for_s = chance.choice((0.0, 1.0, 12.0))
            life.look(for_s)
            late = late and for_s < 5
        elif step in hows and path.stat().st_size:
            rotate(path, hows[step])
            late = step == "r"
            time.sleep(0.002)
        elif step == "a" and late and (logs / "app.log.1").exists():
            written += write(logs / "app.log.1", 1)
        elif step == "s":
            life.acknowledge()
        elif step == "k":
            if is_saved:
                life.acknowledge()
            life.kill()
            read += life.read
            places |= life.places
            life = Life(f"{logs}/app.log*", saved)
    written += write(path)
    life.look(for_s=20)
    read += life.read
    places |= life.places
    names = {line: name for name, line in read}
    assert names.keys() == set(written)
    assert len(set(read)) == len(written) == len(places)
    assert len({(name, place) for name, place, _ in places}) == len(written)
    if is_saved:
        assert len(read) == len(written)
