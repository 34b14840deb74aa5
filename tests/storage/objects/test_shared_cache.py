"""Do equal processes share one folder of pieces, of which one at a time is the owner?"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.objects.cached import CachedObjects
from storage.objects.disk_cache import DiskCache
from storage.objects.filesystem import LocalObjects
from storage.objects.shared_cache import TRY_S, SharedCache

LARGE = 1 << 30
STORE = "s3://bucket/logs"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now


def test_one_owns_and_all_read(tmp_path: Path) -> None:
    one, other = (SharedCache(tmp_path, STORE, LARGE) for _ in range(2))
    one.put("a", b"of the owner")
    assert one.is_owner
    assert other.get("a") == b"of the owner"
    assert not other.is_owner
    other.put("b", b"of a guest")
    assert other.get("b") == b"of a guest"


def test_another_one_owns_what_the_first_kept_when_it_is_gone(tmp_path: Path) -> None:
    """Not before it is time to try again."""
    clock = Clock()
    one, other = (SharedCache(tmp_path, STORE, LARGE, now=clock) for _ in range(2))
    one.put("a", b"of the first")
    other.put("b", b"left")
    one.close()
    assert other.get("a") == b"of the first"
    assert not other.is_owner
    clock.now += TRY_S
    assert other.get("a") == b"of the first"
    assert other.is_owner
    assert other.get("b") == b"left"
    one.put("c", b"of a guest now")
    assert one.get("c") == b"of a guest now"


def test_a_killed_owner_leaves_the_folder_to_others(tmp_path: Path) -> None:
    """Whatever it did last: the system frees its lock."""
    script = (
        "import sys, time; from pathlib import Path\n"
        "from storage.objects.shared_cache import SharedCache\n"
        f"cache = SharedCache(Path(sys.argv[1]), {STORE!r}, {LARGE})\n"
        "cache.put('a', b'piece'); print(cache.is_owner, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        clock = Clock()
        mine = SharedCache(tmp_path, STORE, LARGE, now=clock)
        assert mine.get("a") == b"piece"
        assert not mine.is_owner
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    clock.now += TRY_S
    assert mine.get("a") == b"piece"
    assert mine.is_owner


def test_stores_do_not_see_each_other(tmp_path: Path) -> None:
    one, other = (SharedCache(tmp_path, store, LARGE) for store in (STORE, "s3://another"))
    one.put("a", b"piece")
    assert other.get("a") is None
    assert one.is_owner
    assert other.is_owner


def test_the_owner_bounds_it(tmp_path: Path) -> None:
    cache = SharedCache(tmp_path, STORE, 8 * 1000)
    for number in range(40):
        cache.put(f"{number}", bytes(500))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 8 * 1000


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    """All is read from afar."""
    (tmp_path / "file").write_bytes(b"")
    cache = SharedCache(tmp_path / "file", STORE, LARGE)
    cache.put("a", b"piece")
    assert cache.get("a") is None
    assert not cache.is_owner


def test_a_damaged_piece_is_read_from_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the owner and by guests."""
    monkeypatch.setattr(DiskCache, "_note", lambda *_: None)
    far = LocalObjects(tmp_path / "far")
    far.put("blocks/a/index", b"whole")
    one, other = (
        CachedObjects(far, SharedCache(tmp_path / "cache", STORE, LARGE)) for _ in range(2)
    )
    assert one.get("blocks/a/index") == other.get("blocks/a/index") == b"whole"
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file() and path.stat().st_size:
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert other.get("blocks/a/index") == b"whole"
    assert one.get("blocks/a/index") == b"whole"
