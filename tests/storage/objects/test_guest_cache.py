"""Do processes share the pieces of one disk cache, within its bound, and without harm?"""

from pathlib import Path

import pytest

from storage.objects import piece_file
from storage.objects.cached import CachedObjects
from storage.objects.disk_cache import TAKE_IN_S, DiskCache
from storage.objects.filesystem import LocalObjects
from storage.objects.guest_cache import GIVEN, LOOK_S, GuestCache
from storage.objects.piece_file import place_of

LARGE = 1 << 30


def look_again(cache: DiskCache) -> None:
    """As when the time for it has come."""
    cache._taken_in_s -= TAKE_IN_S


def sizes_in(folder: Path) -> list[int]:
    """Of all files."""
    return [path.stat().st_size for path in folder.rglob("*") if path.is_file()]


def test_a_guest_reads_what_the_owner_keeps_and_the_owner_what_guests_leave(tmp_path: Path) -> None:
    owner, guest, other = DiskCache(tmp_path, LARGE), *(GuestCache(tmp_path, LARGE),) * 2
    owner.put("a", b"of the owner")
    assert guest.get("a") == b"of the owner"
    guest.put("b", b"of a guest")
    assert other.get("b") == b"of a guest"
    assert owner.get("b") is None, "not looked for at each read"
    look_again(owner)
    assert owner.get("b") == b"of a guest"
    assert not list((tmp_path / GIVEN).iterdir())
    assert guest.get("b") == b"of a guest"
    assert owner.nbytes == sum(sizes_in(tmp_path))


def test_the_next_owner_takes_in_what_was_left(tmp_path: Path) -> None:
    GuestCache(tmp_path, LARGE).put("a", b"left")
    owner = DiskCache(tmp_path, LARGE)
    assert owner.get("a") == b"left"
    assert owner.nbytes == sum(sizes_in(tmp_path))


def test_the_owner_bounds_what_comes_from_guests(tmp_path: Path) -> None:
    owner, guest = DiskCache(tmp_path, 3000), GuestCache(tmp_path, LARGE)
    for number in range(10):
        guest.put(f"{number}", bytes(500))
    look_again(owner)
    owner.get("none")
    assert owner.nbytes == sum(sizes_in(tmp_path)) <= 3000


def test_guests_leave_no_more_than_may_wait(tmp_path: Path) -> None:
    """Until the owner took it in; however many guests there are."""
    now = [0.0]
    one, other = (GuestCache(tmp_path, 2000, now=lambda: now[0]) for _ in range(2))
    for number in range(10):
        one.put(f"{number}", bytes(500))
    other.put("x", bytes(500))
    waiting = sum(sizes_in(tmp_path))
    assert 1000 < waiting <= 2000
    now[0] += LOOK_S
    one.put("y", bytes(500))
    assert sum(sizes_in(tmp_path)) == waiting
    DiskCache(tmp_path, LARGE)
    now[0] += LOOK_S
    one.put("z", bytes(500))
    assert sum(sizes_in(tmp_path)) > waiting


@pytest.mark.parametrize("where", ["kept", "given"])
def test_a_damaged_piece_is_a_miss(tmp_path: Path, where: str) -> None:
    guest = GuestCache(tmp_path, LARGE)
    guest.put("a", b"content")
    path = tmp_path / GIVEN / piece_file.file_of("a")
    if where == "kept":
        DiskCache(tmp_path, LARGE)
        path = place_of(tmp_path, path.name)
    content = path.read_bytes()
    for spoilt in (content[:3], content[:-1], content[:-1] + b"?", b""):
        path.write_bytes(spoilt)
        assert guest.get("a") is None
    path.write_bytes(content)
    assert guest.get("a") == b"content"


def test_a_disk_that_cannot_be_written_costs_only_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piece_file, "LEAST_FREE", 1 << 60)
    far = LocalObjects(tmp_path / "far")
    far.put("a/b", b"content")
    objects = CachedObjects(far, GuestCache(tmp_path / "cache", LARGE))
    assert [objects.get("a/b") for _ in range(2)] == [b"content"] * 2
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
