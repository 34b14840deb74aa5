"""Does a cache on a disk ever give other bytes than were put, or raise, whatever the disk does?"""

import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.objects import piece_file
from storage.objects.disk_cache import MOST_SHARE, DiskCache

LARGE = 1 << 30
Spoil = Callable[[bytes], bytes]


def files(folder: Path) -> list[Path]:
    """Of all pieces."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_piece_is_found_also_by_the_next_process(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, LARGE)
    assert cache.get("a") is None
    cache.put("a", b"one")
    cache.put("b", b"")
    assert [cache.get(name) for name in "abc"] == [b"one", b"", None]
    other = DiskCache(tmp_path, LARGE)
    assert [other.get(name) for name in "abc"] == [b"one", b"", None]
    assert other.nbytes == cache.nbytes == sum(path.stat().st_size for path in files(tmp_path))


@given(
    st.lists(
        st.tuples(st.sampled_from("pgr"), st.integers(0, 9), st.integers(0, 400)), max_size=60
    ),
    st.integers(500, 9000),
)
def test_it_is_a_dictionary_that_forgets(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]], most: int
) -> None:
    """A piece of a name is always the same, as ranges of objects are."""
    folder = tmp_path_factory.mktemp("cache")
    cache = DiskCache(folder, most)
    known: dict[int, bytes] = {}
    for what, number, size in steps:
        if what == "p":
            known.setdefault(number, random.Random(number).randbytes(size))
            cache.put(f"name-{number}", known[number])
        elif what == "r":
            cache = DiskCache(folder, most)
        else:
            found = cache.get(f"name-{number}")
            assert found is None or found == known[number]
        assert cache.nbytes == sum(path.stat().st_size for path in files(folder)) <= most


def test_the_piece_that_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10_000)
    for name in "abcdefghi":
        cache.put(name, bytes(1000))
    assert cache.get("a") is not None
    cache.put("j", bytes(1000))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    smaller = DiskCache(tmp_path, 3100)
    assert smaller.nbytes <= 3100
    assert len(files(tmp_path)) == 3


def test_a_large_piece_does_not_drive_out_all_others(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 8000)
    cache.put("a", bytes(8000 // MOST_SHARE))
    assert not files(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: whole[:-1],
        lambda _whole: b"",
        lambda whole: whole[:3],
        lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
        lambda whole: bytes([whole[0] ^ 1]) + whole[1:],
        lambda whole: whole[:5] + b"\xff" + whole[6:],
        lambda _whole: bytes(100),
    ],
)
def test_a_damaged_piece_is_a_miss_and_gone(tmp_path: Path, spoil: Spoil) -> None:
    cache = DiskCache(tmp_path, LARGE)
    cache.put("a", b"some bytes")
    (path,) = files(tmp_path)
    path.write_bytes(spoil(path.read_bytes()))
    assert cache.get("a") is None
    assert not path.exists()
    assert cache.nbytes == 0
    cache.put("a", b"some bytes")
    assert cache.get("a") == b"some bytes"


def test_every_flipped_bit_is_a_miss(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, LARGE)
    cache.put("a", b"some bytes")
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    for bit in range(len(whole) * 8):
        spoiled = bytearray(whole)
        spoiled[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoiled)
        assert DiskCache(tmp_path, LARGE).get("a") is None


def test_a_piece_under_the_file_of_another_is_a_miss(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, LARGE)
    cache.put("a", b"of a")
    (first,) = files(tmp_path)
    cache.put("b", b"of b")
    (second,) = set(files(tmp_path)) - {first}
    shutil.copy(first, second)
    assert cache.get("b") is None
    assert cache.get("a") == b"of a"


def test_what_a_crash_left_half_written_is_removed(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, LARGE)
    cache.put("a", b"of a")
    (path,) = files(tmp_path)
    path.with_name(f"{path.name}-1{piece_file.TORN}").write_bytes(b"half")
    assert DiskCache(tmp_path, LARGE).get("a") == b"of a"
    assert files(tmp_path) == [path]


def test_a_full_disk_is_not_written_to_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = DiskCache(tmp_path, LARGE)
    cache.put("a", b"of a")
    monkeypatch.setattr(piece_file, "LEAST_FREE", 1 << 60)
    cache.put("b", b"of b")
    assert cache.get("a") == b"of a"
    assert cache.get("b") is None
    monkeypatch.setattr(piece_file, "LEAST_FREE", 0)
    cache.put("b", b"of b")
    assert cache.get("b") is None, "it is tried again later"
    monkeypatch.setattr(cache, "_resumes_s", 0.0)
    cache.put("b", b"of b")
    assert cache.get("b") == b"of b"


def test_a_folder_that_cannot_be_used_costs_only_the_cache(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"no folder")
    cache = DiskCache(place, LARGE)
    cache.put("a", b"of a")
    assert cache.get("a") is None
    assert cache.nbytes == 0


def test_pieces_that_somebody_removes_are_misses(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, LARGE)
    cache.put("a", b"of a")
    shutil.rmtree(tmp_path)
    assert cache.get("a") is None
    cache.put("a", b"of a")
    assert cache.get("a") == b"of a"


def test_threads_share_it(tmp_path: Path) -> None:
    cache, wrong = DiskCache(tmp_path, 20_000), list[str]()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            name = str(chance.randrange(40))
            if chance.random() < 0.5:
                cache.put(name, name.encode() * 300)
            elif (found := cache.get(name)) not in (None, name.encode() * 300):
                wrong.append(repr(found))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.nbytes <= 20_000
    assert not [path for path in files(tmp_path) if os.fspath(path).endswith(piece_file.TORN)]
