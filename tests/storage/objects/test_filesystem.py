"""Are objects there whole or not at all?"""

from pathlib import Path

import pytest

from storage.disk import SystemDisk
from storage.objects.base import ObjectError, ObjectMissingError
from storage.objects.filesystem import LocalObjects
from tests.faults.crash_disk import Always, CrashDisk


def test_put_get_open_list_delete(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    objects.put("a/b/one", b"1")
    objects.put("a/two", b"22")
    objects.put("a/two", b"222")
    assert objects.get("a/two") == b"222"
    assert objects.open("a/b/one").read() == b"1"
    assert list(objects.list("a/")) == ["a/b/one", "a/two"]
    assert list(objects.list("a/t")) == ["a/two"]
    assert list(objects.list("b/")) == list(objects.list("a/b/one/")) == []
    objects.delete("a/b/one")
    objects.delete("a/b/one")
    assert list(objects.list("")) == ["a/two"]
    assert not (tmp_path / "a/b").exists()


def test_a_folder_that_became_empty_stays_away_after_a_power_failure(tmp_path: Path) -> None:
    """Else blocks come back that the catalog forgot, and the server refuses to start."""
    disk = CrashDisk()
    objects = LocalObjects(tmp_path, disk)
    for key in ("day/one/a", "day/one/b", "day/two/a", "old/one/a"):
        objects.put(key, b"content")
    objects.delete("day/one/a")
    objects.delete("day/one/b")
    objects.move("old/one/a", "lost/one/a")
    disk.power_off(Always())
    assert list(objects.list("")) == ["day/two/a", "lost/one/a"]


def test_missing(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    with pytest.raises(ObjectMissingError):
        objects.get("nothing")
    with pytest.raises(ObjectMissingError):
        objects.open("nothing")


@pytest.mark.parametrize("key", ["../x", "a/../x", "", "a//b", "./x"])
def test_keys_stay_inside(tmp_path: Path, key: str) -> None:
    with pytest.raises(ObjectError):
        LocalObjects(tmp_path).put(key, b"")


def test_a_failed_put_leaves_the_old_object_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SystemDisk()
    objects = LocalObjects(tmp_path, disk)
    objects.put("x", b"old")

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", fail)
        with pytest.raises(ObjectError, match="No space left"):
            objects.put("x", b"new")
    assert objects.get("x") == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_what_a_crash_left_of_a_put_is_no_object_and_can_be_removed(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    objects.put("a/one", b"1")
    (tmp_path / "a" / ".tmp-123").write_bytes(b"half")
    assert list(objects.list("")) == ["a/one"]
    assert objects.discard_unfinished() == 1
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["one"]


def test_what_is_created_survives_a_power_failure_and_a_failed_call(tmp_path: Path) -> None:
    """Whatever call fails: the object is there whole or not at all, and the same call ends it."""
    for calls in range(40):
        disk = CrashDisk()
        objects = LocalObjects(tmp_path / str(calls), disk)
        disk.arm(calls, 5)
        try:
            objects.create("j/1", b"mine")
        except ObjectError:
            assert [objects.get(key) for key in objects.list("")] in ([], [b"mine"])
            objects.create("j/1", b"mine")
            ended = False
        else:
            ended = True
        disk.power_off(Always())
        assert objects.get("j/1") == b"mine"
        assert [path.name for path in (tmp_path / str(calls) / "j").iterdir()] == ["1"]
        if ended:
            return
    pytest.fail("it never got through")
