"""Samples wait on disk: in order, over restarts, torn ends, failing disks, and up to a size."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruler.remote_write.spool import Frame, Spool, SpoolError
from storage.disk import SystemDisk
from tests.reference.budget import examples

LARGE = 2**20


def never(samples: int) -> None:
    """Nothing is dropped."""
    raise AssertionError(f"{samples} samples were dropped")


def frames(count: int, size: int = 10) -> list[Frame]:
    """Frames that differ."""
    return [Frame(bytes((k % 256,)) * size, 1 + k % 3, 1000 + k) for k in range(count)]


def drained(spool: Spool, at_once: int = 1) -> list[Frame]:
    """Everything that waits, in the order in which it comes out."""
    found: list[Frame] = []
    while not spool.is_empty:
        some, place = spool.next(at_once)
        found += some
        spool.sent(place)
    return found


def test_what_is_not_sent_comes_out_again_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE, never)
    for frame in frames(10):
        spool.append(frame)
    some, place = spool.next(5)
    assert some == frames(10)[:2] + frames(10)[2:2]
    spool.sent(place)
    spool.next(100)
    again = Spool(tmp_path, LARGE, never)
    assert again.samples == sum(frame.samples for frame in frames(10)[2:])
    assert drained(again, 4) == frames(10)[2:]
    assert Spool(tmp_path, LARGE, never).is_empty


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**32), st.integers(1, 4000), st.integers(1, 9))
def test_any_order_of_writes_sends_and_restarts(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, at_once: int
) -> None:
    folder, chance = tmp_path_factory.mktemp("spool"), random.Random(seed)
    spool = Spool(folder, 64 * 4096, never)
    waiting: list[Frame] = []
    for frame in frames(40, size):
        step = chance.random()
        if step < 0.6:
            spool.append(frame)
            waiting.append(frame)
        elif step < 0.85 and waiting:
            some, place = spool.next(at_once)
            assert some == waiting[: len(some)]
            spool.sent(place)
            del waiting[: len(some)]
        else:
            spool = Spool(folder, 64 * 4096, never)
        assert spool.samples == sum(one.samples for one in waiting)
    assert drained(spool) == waiting


def test_a_torn_end_is_cut_off_and_written_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE, never)
    for frame in frames(3):
        spool.append(frame)
    (path,) = tmp_path.glob("*.samples")
    path.write_bytes(path.read_bytes()[:-4])
    spool = Spool(tmp_path, LARGE, never)
    spool.append(frames(4)[3])
    assert drained(Spool(tmp_path, LARGE, never)) == [*frames(2), frames(4)[3]]


def test_a_wrong_byte_costs_what_lies_behind_it_in_its_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE, never)
    for frame in frames(3):
        spool.append(frame)
    (path,) = tmp_path.glob("*.samples")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert drained(Spool(tmp_path, LARGE, never)) == frames(1)
    dropped: list[int] = []
    live = Spool(tmp_path / "live", LARGE, dropped.append)
    for frame in frames(3):
        live.append(frame)
    (path,) = (tmp_path / "live").glob("*.samples")
    path.write_bytes(data)
    assert drained(live) == frames(1)
    assert dropped == [frames(3)[1].samples + frames(3)[2].samples], "told, not sent for ever"


@pytest.mark.parametrize("sent_before", [0, 1])
def test_what_comes_after_a_wrong_frame_is_sent(tmp_path: Path, sent_before: int) -> None:
    dropped: list[int] = []
    spool = Spool(tmp_path, LARGE, dropped.append)
    for frame in frames(3):
        spool.append(frame)
    for _ in range(sent_before):
        spool.sent(spool.next(1)[1])
    (path,) = tmp_path.glob("*.samples")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 * sent_before + 25] ^= 1  # of the next frame
    path.write_bytes(data)
    waits = spool.samples
    assert drained(spool) == []
    assert dropped == [waits]
    spool.append(frames(4)[3])
    assert drained(spool) == [frames(4)[3]]
    assert Spool(tmp_path, LARGE, never).is_empty


def test_the_oldest_go_when_too_many_wait(tmp_path: Path) -> None:
    dropped: list[int] = []
    spool = Spool(tmp_path, 8 * 1024, dropped.append)
    made = frames(100, 500)
    for frame in made:
        spool.append(frame)
    left = drained(spool)
    assert left == made[-len(left) :]
    assert 10 <= len(left) <= 17
    assert sum(dropped) == sum(frame.samples for frame in made[: -len(left)])


class BrokenDisk(SystemDisk):
    """Fails at the call of a number."""

    def __init__(self, fails_at: int) -> None:
        self.left = fails_at

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(28, "No space left on device")

    def create(self, path: Path) -> int:
        self._count()
        return super().create(path)

    def write(self, descriptor: int, pieces: object) -> int:
        self._count()
        return super().write(descriptor, pieces)  # type: ignore[arg-type]

    def sync(self, descriptor: int) -> None:
        self._count()
        super().sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    def sync_folder(self, path: Path) -> None:
        self._count()
        super().sync_folder(path)


@pytest.mark.parametrize("fails_at", range(1, 16))
def test_a_failing_disk_refuses_one_frame_and_nothing_else(tmp_path: Path, fails_at: int) -> None:
    spool = Spool(tmp_path, 8 * 1024, never, BrokenDisk(fails_at))
    kept: list[Frame] = []
    failed = 0
    for number, frame in enumerate(frames(6, 500)):
        try:
            spool.append(frame)
            kept.append(frame)
        except SpoolError:
            failed += 1
        if number == 2:
            some, place = spool.next(1)
            assert some == kept[:1]
            try:
                spool.sent(place)
            except SpoolError:
                failed += 1
            del kept[:1]
    assert failed == 1
    assert drained(spool) == kept
