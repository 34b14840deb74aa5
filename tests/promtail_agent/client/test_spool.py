"""Does the spool keep batches in order over restarts, torn ends and its limit?"""

import threading
from pathlib import Path

import pytest

from narfi.core.wire.gen import push_pb2
from promtail_agent.client.batch import Batch, TenantStreams
from promtail_agent.client.sealed import Sealed
from promtail_agent.client.spool import Spool
from promtail_agent.errors import SpoolError
from promtail_agent.positions import Mark, Position

STOP = threading.Event()


def batch(number: int, size: int = 100) -> Batch:
    """A batch of one line and a mark."""
    line = f"{number:06d}".encode().ljust(size, b".")
    streams = TenantStreams({'{a="b"}': [(number, line, [])]}, 1, size)
    mark = Mark(
        number,
        Position(path="/log", offset=number * 10, device=1, inode=2, head=b"head", cursor=""),
    )
    return Batch(
        opened_at_s=0.0, tenants={"t": streams}, marks={"/log": mark}, line_bytes=size, streams=1
    )


class Lost:
    """What a spool told."""

    def __init__(self) -> None:
        self.entries = self.line_bytes = self.size = 0

    def dropped(self, entries: int, line_bytes: int) -> None:
        self.entries += entries
        self.line_bytes += line_bytes

    def sized(self, size: int) -> None:
        self.size = size

    def open(self, folder: Path, max_size: int = 1 << 30) -> Spool:
        return Spool(folder, max_size, self.dropped, self.sized)


def number_of(sealed: Sealed | None) -> int:
    """Which batch it is."""
    assert sealed is not None
    request = push_pb2.PushRequest.FromString(sealed.tenants[0].body)
    return int(request.streams[0].entries[0].line[:6])


def take_all(spool: Spool) -> list[int]:
    """Numbers of all batches that wait, each settled."""
    found = []
    while (sealed := spool.take(0)) is not None:
        found.append(number_of(sealed))
        spool.done(sealed)
    return found


def test_batches_come_out_as_they_went_in(tmp_path: Path) -> None:
    lost = Lost()
    spool = lost.open(tmp_path / "s")
    for number in range(50):
        assert spool.put(batch(number), STOP)
    assert lost.size > 50 * 100
    first = spool.take(0)
    assert first is not None
    assert first.tenants[0].tenant == "t"
    assert (first.entries, first.line_bytes) == (1, 100)
    assert first.marks["/log"] == Mark(
        0, Position(path="/log", offset=0, device=1, inode=2, head=b"head", cursor="")
    )
    assert number_of(spool.take(0)) == 0  # what is not done comes again
    assert take_all(spool) == list(range(50))
    assert spool.is_empty()
    assert lost.size == 0
    assert lost.entries == 0


def test_what_was_not_done_is_there_after_a_restart(tmp_path: Path) -> None:
    spool = Lost().open(tmp_path)
    for number in range(20):
        spool.put(batch(number), STOP)
    for _ in range(7):
        sealed = spool.take(0)
        assert sealed is not None
        spool.done(sealed)
    again = Lost().open(tmp_path)  # the first was killed: nothing was closed
    assert again.last_marks["/log"].position.offset == 190
    assert take_all(again) == list(range(7, 20))
    third = Lost().open(tmp_path)
    assert third.is_empty()
    assert third.last_marks["/log"].position.offset == 190
    third.put(batch(20), STOP)
    assert take_all(third) == [20]


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 60, 150])
def test_a_torn_end_is_cut_off(tmp_path: Path, cut: int) -> None:
    spool = Lost().open(tmp_path)
    for number in range(3):
        spool.put(batch(number), STOP)
    (file,) = tmp_path.glob("*.spool")
    file.write_bytes(file.read_bytes()[:-cut])
    again = Lost().open(tmp_path)
    assert again.last_marks["/log"].position.offset == 10  # the rest is read again from the log
    again.put(batch(2), STOP)
    assert take_all(again) == [0, 1, 2]


def test_a_flipped_byte_never_comes_out(tmp_path: Path) -> None:
    spool = Lost().open(tmp_path)
    for number in range(3):
        spool.put(batch(number), STOP)
    (file,) = tmp_path.glob("*.spool")
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)
    lost = Lost()
    assert take_all(lost.open(tmp_path)) == [0, 1]


def test_damage_while_running_drops_the_rest_of_its_segment_and_counts_it(tmp_path: Path) -> None:
    lost = Lost()
    spool = lost.open(tmp_path)
    for number in range(4):
        spool.put(batch(number), STOP)
    sealed = spool.take(0)
    assert sealed is not None
    spool.done(sealed)
    (file,) = tmp_path.glob("*.spool")
    data = bytearray(file.read_bytes())
    data[len(data) // 4 + 30] ^= 1
    file.write_bytes(data)
    assert spool.take(0) is None
    assert (lost.entries, lost.line_bytes) == (3, 300)
    assert spool.is_empty()


def test_beyond_its_size_the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    lost = Lost()
    spool = lost.open(tmp_path, max_size=1 << 20)
    for number in range(300):
        spool.put(batch(number, 10_000), STOP)
    on_disk = sum(file.stat().st_size for file in tmp_path.glob("*.spool"))
    assert on_disk <= 1 << 20
    assert lost.size == on_disk
    left = take_all(spool)
    assert left == list(range(300 - len(left), 300))  # the newest, in order
    assert 80 < len(left) < 110
    assert lost.entries == 300 - len(left)
    assert lost.line_bytes == lost.entries * 10_000


def test_what_was_delivered_is_not_counted_as_dropped(tmp_path: Path) -> None:
    lost = Lost()
    spool = lost.open(tmp_path, max_size=1 << 20)
    delivered = 0
    for number in range(300):
        spool.put(batch(number, 10_000), STOP)
        if number % 2 == 0:
            sealed = spool.take(0)
            assert sealed is not None
            spool.done(sealed)
            delivered += 1
    delivered += len(take_all(spool))
    assert delivered + lost.entries == 300
    assert lost.entries > 10


def test_a_batch_that_was_dropped_while_it_was_sent_is_done_without_harm(tmp_path: Path) -> None:
    spool = Lost().open(tmp_path, max_size=1 << 20)
    spool.put(batch(0, 10_000), STOP)
    sealed = spool.take(0)
    assert sealed is not None
    for number in range(1, 300):
        spool.put(batch(number, 10_000), STOP)
    spool.done(sealed)
    left = take_all(spool)
    assert left[-1] == 299
    assert left == sorted(left)


def test_segments_that_are_done_are_deleted(tmp_path: Path) -> None:
    spool = Lost().open(tmp_path, max_size=8 << 20)
    for number in range(500):
        spool.put(batch(number, 10_000), STOP)
    assert len(list(tmp_path.glob("*.spool"))) > 4
    take_all(spool)
    assert len(list(tmp_path.glob("*.spool"))) == 1


def test_a_full_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault: writing fails, until it does not."""
    spool = Lost().open(tmp_path)
    plain, fails = Spool._append, [2]

    def append(self: Spool, frame: bytes, sealed: Sealed) -> None:
        if fails[0]:
            fails[0] -= 1
            raise OSError(28, "No space left on device")
        plain(self, frame, sealed)

    monkeypatch.setattr(Spool, "_append", append)
    assert spool.put(batch(1), STOP)
    assert take_all(spool) == [1]
    fails[0] = 100
    stop = threading.Event()
    stop.set()
    assert not spool.put(batch(2), stop)


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot be used"):
        Lost().open(tmp_path / "file" / "spool")
    (tmp_path / "acked").write_text("garbage")
    assert Lost().open(tmp_path).is_empty()


def full(lost: Lost, folder: Path) -> Spool:
    """A spool from which one batch was taken before its file, and more, had to go."""
    spool = lost.open(folder, 300_000)
    assert spool.put(batch(0, 10_000), STOP)
    assert number_of(spool.take(0)) == 0
    for number in range(1, 60):
        assert spool.put(batch(number, 10_000), STOP)
    assert lost.entries > 20
    return spool


def test_what_is_being_sent_is_not_dropped(tmp_path: Path) -> None:
    lost = Lost()
    spool = lost.open(tmp_path / "s", 300_000)
    delivered = []
    for number in range(90):  # a batch is sent for each three that come
        assert spool.put(batch(number, 10_000), STOP)
        if number % 3 == 0:
            sent = spool.take(0)
        elif number % 3 == 2:
            assert sent is not None
            delivered.append(number_of(sent))
            spool.done(sent)
    delivered += take_all(spool)
    assert delivered == sorted(set(delivered))
    assert lost.entries > 10
    assert lost.entries + len(delivered) == 90
    assert lost.line_bytes == lost.entries * 10_000


def test_what_was_being_sent_is_lost_when_the_agent_stops(tmp_path: Path) -> None:
    lost = Lost()
    spool = full(lost, tmp_path / "s")
    spool.close()
    spool.close()
    left = take_all(lost.open(tmp_path / "s", 300_000))
    assert lost.entries + len(left) == 60
    assert 0 not in left


def test_what_was_being_sent_and_is_done_is_counted_once(tmp_path: Path) -> None:
    lost = Lost()
    spool = lost.open(tmp_path / "s", 300_000)
    assert spool.put(batch(0, 10_000), STOP)
    sent = spool.take(0)
    assert sent is not None
    for number in range(1, 60):
        assert spool.put(batch(number, 10_000), STOP)
    spool.done(sent)
    assert lost.entries + 1 + len(take_all(spool)) == 60
    spool.close()
    assert lost.entries < 59
