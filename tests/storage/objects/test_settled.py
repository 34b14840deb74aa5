"""Is a folder of objects durable when its last put has returned, with few syncs of directories?"""

import random
from pathlib import Path

import pytest

from storage.objects.filesystem import LocalObjects
from tests.faults.crash_disk import CrashDisk


class Worst(random.Random):
    """Whatever may be lost is lost."""

    def random(self) -> float:
        """Below every chance."""
        return 0.0

    def randint(self, a: int, b: int) -> int:
        """As few bytes as may be."""
        return a


class CountingDisk(CrashDisk):
    """Counts what is synced."""

    def __init__(self) -> None:
        super().__init__()
        self.folders: list[Path] = []
        self.files = 0

    def sync(self, descriptor: int) -> None:
        """Count."""
        self.files += 1
        super().sync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Note it."""
        self.folders.append(path)
        super().sync_folder(path)


NAMES = ("lines", "shape", "streams")


def put_block(objects: LocalObjects, prefix: str) -> None:
    """As a block is put: what settles it comes last."""
    for name in NAMES:
        objects.put(f"{prefix}/{name}", name.encode(), settled=False)
    objects.put(f"{prefix}/manifest", b"manifest")


def whole(objects: LocalObjects, prefix: str) -> bool:
    """Whether the block is there as it was put."""
    keys = [f"{prefix}/{name}" for name in (*NAMES, "manifest")]
    found = list(objects.list(f"{prefix}/"))
    return found == sorted(keys) and all(
        objects.get(key) == key.rpartition("/")[2].encode() for key in keys
    )


def test_a_settled_folder_survives_a_power_failure(tmp_path: Path) -> None:
    disk = CrashDisk()
    objects = LocalObjects(tmp_path / "objects", disk)
    put_block(objects, "blocks/t/day1/a")
    put_block(objects, "blocks/t/day1/b")
    put_block(objects, "blocks/t/day2/c")
    objects.put("blocks/t/day2/d/lines", b"lines", settled=False)
    disk.power_off(Worst())
    again = LocalObjects(tmp_path / "objects", disk)
    for prefix in ("blocks/t/day1/a", "blocks/t/day1/b", "blocks/t/day2/c"):
        assert whole(again, prefix)
    assert list(again.list("blocks/t/day2/d")) == [], "this disk loses what was not settled"


def test_a_folder_that_was_removed_and_made_anew_is_synced_again(tmp_path: Path) -> None:
    disk = CrashDisk()
    objects = LocalObjects(tmp_path / "objects", disk)
    put_block(objects, "blocks/t/day/a")
    for key in list(objects.list("")):
        objects.delete(key)
    assert list((tmp_path / "objects").iterdir()) == []
    put_block(objects, "blocks/t/day/b")
    disk.power_off(Worst())
    assert whole(LocalObjects(tmp_path / "objects"), "blocks/t/day/b")


def test_folders_of_an_earlier_process_are_synced_once(tmp_path: Path) -> None:
    """Nobody knows whether that one got as far."""
    root = tmp_path / "objects"
    (root / "blocks/t/day").mkdir(parents=True)
    disk = CountingDisk()
    objects = LocalObjects(root, disk)
    put_block(objects, "blocks/t/day/a")
    assert set(disk.folders) == {
        root / "blocks/t/day/a",
        root / "blocks/t/day",
        root / "blocks/t",
        root / "blocks",
        root,
    }
    assert len(disk.folders) == 5
    disk.folders.clear()
    disk.files = 0
    put_block(objects, "blocks/t/day/b")
    assert disk.folders == [root / "blocks/t/day/b", root / "blocks/t/day"]
    assert disk.files == len(NAMES) + 1


def test_a_sync_that_failed_is_done_again(tmp_path: Path) -> None:
    disk = CountingDisk()
    objects = LocalObjects(tmp_path / "objects", disk)
    for calls in range(40):
        disk.arm_error(calls, OSError(5, "Input/output error"))
        before = disk.calls
        try:
            put_block(objects, "blocks/t/day/a")
        except Exception:  # noqa: BLE001 - that it fails is the test's doing
            assert disk.calls > before
        else:
            break
    else:
        pytest.fail("it never got through")
    disk.disarm()
    disk.power_off(Worst())
    assert whole(LocalObjects(tmp_path / "objects"), "blocks/t/day/a")
