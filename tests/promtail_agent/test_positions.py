"""Does the positions file say what was acknowledged, whoever writes it, and when?"""

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from promtail_agent import positions
from promtail_agent.errors import PositionsError
from promtail_agent.known import Beside, Known
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Mark, Position, PositionLedger, load_positions

KNOWN = Known(device=1, inode=2, size=3, length=4, head=b"h", tail=b"t", whole=True)
FULL = Position(
    path="/a",
    offset=7,
    device=1,
    inode=9,
    head=b"head",
    tail=b"tail-tail",
    base=1 << 20,
    beside=Beside((KNOWN,), 5),
)


def ledger_of(file: Path, start: Mapping[str, Position] | None = None) -> PositionLedger:
    """Of one client."""
    return PositionLedger(file, 1, start or {})


def test_all_of_a_position_is_there_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "positions.yaml"
    odd = Position(path="/\udcff.log", offset=3, device=1, inode=2, head=b"x")
    ledger = ledger_of(file)
    ledger.begin(FULL)
    ledger.begin(odd)
    ledger.save(AgentMetrics())
    assert load_positions(file, ignore_invalid=False) == {"/a": FULL, "/\udcff.log": odd}


def test_a_full_disk_is_tried_again_without_another_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "positions.yaml"
    ledger = ledger_of(file)
    ledger.begin(FULL)
    plain, fails = os.fsync, [1]

    def fsync(descriptor: int) -> None:
        if fails:
            fails.pop()
            raise OSError(28, "No space left on device")
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        ledger.save(AgentMetrics())
    assert not file.exists()
    ledger.save(AgentMetrics())
    assert load_positions(file, ignore_invalid=False) == {"/a": FULL}


def test_the_files_time_says_that_somebody_looked(tmp_path: Path) -> None:
    """Also when nothing has changed: what is rotated later is no history."""
    file = tmp_path / "positions.yaml"
    ledger, metrics = ledger_of(file), AgentMetrics()
    ledger.begin(FULL)
    ledger.save(metrics)
    text = file.read_text()
    os.utime(file, (1, 1))
    ledger.save(metrics)
    assert file.stat().st_mtime > 1e9
    assert file.read_text() == text
    assert metrics.positions_saved == 1


SAVES = 60
"""Of each thread; each writes and syncs the whole file."""


def test_two_threads_save_at_once(tmp_path: Path) -> None:
    """The file is whole at any time, and the newest in the end."""
    file = tmp_path / "positions.yaml"
    ledger, metrics = ledger_of(file), AgentMetrics()
    ledger.begin(FULL)
    failures: list[BaseException] = []

    def save(first: int) -> None:
        try:
            for number in range(first, first + SAVES):
                position = Position(path=f"/{number}", offset=number)
                ledger.acknowledge(0, {position.path: Mark(number, position)})
                ledger.save(metrics)
        except BaseException as error:  # noqa: BLE001  handed to the test
            failures.append(error)

    threads = [threading.Thread(target=save, args=(first,)) for first in (1000, 2000)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if file.exists():
            load_positions(file, ignore_invalid=False)
    assert not failures
    assert len(load_positions(file, ignore_invalid=False)) == 2 * SAVES + 1


def test_a_path_is_kept_as_long_as_what_was_rotated_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the rotated file would be new when the path comes back."""
    monkeypatch.setattr(positions, "PRUNE_AFTER_S", 10.0)
    ledger = ledger_of(tmp_path / "positions.yaml", {"/a": FULL})
    rotated = [True]
    for now_s in (0.0, 100.0):
        ledger.prune(frozenset(), now_s, lambda _path: rotated[0])
    assert ledger.begin_at("/a") == FULL
    rotated.clear()
    rotated.append(False)
    for now_s in (200.0, 209.0):
        ledger.prune(frozenset(), now_s, lambda _path: rotated[0])
    assert ledger.begin_at("/a") == FULL
    ledger.prune(frozenset(), 211.0, lambda _path: rotated[0])
    assert ledger.begin_at("/a") is None


def test_a_file_that_is_no_text_is_as_invalid_as_any(tmp_path: Path) -> None:
    file = tmp_path / "positions.yaml"
    file.write_bytes(b"positions:\n  /a: \xff\xfe\x00")
    with pytest.raises(PositionsError, match="invalid yaml positions file"):
        load_positions(file, ignore_invalid=False)
    assert load_positions(file, ignore_invalid=True) == {}
