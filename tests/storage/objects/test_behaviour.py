"""Does every object store behave as the protocol says? In folders, in S3, …"""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from storage.objects.arrow import ArrowObjects
from storage.objects.base import (
    BadObjectError,
    ObjectError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectStore,
    SharedObjects,
)
from storage.objects.cached import CachedObjects
from storage.objects.disk_cache import DiskCache
from storage.objects.filesystem import LocalObjects
from storage.objects.places import objects_at
from tests.storage.blocks import MemoryObjects


def in_memory(folder: Path) -> ObjectStore:
    """Arrow's own file system for tests."""
    return ArrowObjects.at("mock:///bucket/prefix")


def in_arrow(folder: Path) -> ObjectStore:
    """The machine's files through Arrow."""
    return ArrowObjects(fs.LocalFileSystem(), str(folder))


def in_root(folder: Path) -> ObjectStore:
    """A whole bucket."""
    return ArrowObjects(fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem()), "")


def in_folder(folder: Path) -> ObjectStore:
    """The machine's files."""
    return LocalObjects(folder)


def in_dictionary(folder: Path) -> ObjectStore:
    """The tests' own."""
    return MemoryObjects()


def through_a_cache(folder: Path) -> ObjectStore:
    """The tests' own, with pieces on a disk."""
    return CachedObjects(MemoryObjects(), DiskCache(folder / "cache", 1 << 30))


@pytest.fixture(
    params=[in_memory, in_arrow, in_root, in_folder, in_dictionary, through_a_cache, "bucket"]
)
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind."""
    if request.param == "bucket":
        return objects_at(request.getfixturevalue("s3_server").fresh())
    made: Callable[[Path], ObjectStore] = request.param
    return made(tmp_path)


@pytest.fixture(params=["folder", "dictionary", "bucket"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> SharedObjects:
    """An empty store of each kind that many processes may write to."""
    if request.param == "dictionary":
        return MemoryObjects()
    if request.param == "folder":
        return LocalObjects(tmp_path)
    return objects_at(request.getfixturevalue("s3_server").fresh())


def test_put_get_size_open(objects: ObjectStore) -> None:
    objects.put("a/b/c", b"hello")
    assert objects.get("a/b/c") == b"hello"
    assert objects.size("a/b/c") == 5
    with objects.open("a/b/c") as file:
        file.seek(1)
        assert file.read(3) == b"ell"
    objects.put("a/b/c", b"")
    assert (objects.get("a/b/c"), objects.size("a/b/c")) == (b"", 0)


def test_ranges(objects: ObjectStore) -> None:
    objects.put("a/b", bytes(range(100)))
    assert objects.get_ranges("a/b", []) == []
    assert objects.get_ranges("a/b", [(90, 10), (0, 1), (5, 3)]) == [
        bytes(range(90, 100)),
        b"\0",
        bytes((5, 6, 7)),
    ]
    with pytest.raises(BadObjectError):
        objects.get_ranges("a/b", [(0, 1), (95, 6)])
    with pytest.raises(ObjectMissingError):
        objects.get_ranges("a/c", [(0, 1)])


@pytest.mark.parametrize("told", [True, False])
def test_a_file_is_read_anywhere(objects: ObjectStore, *, told: bool) -> None:
    content = random.Random(1).randbytes(1_000_000)
    objects.put("a/b", content)
    draw = random.Random(2)
    with objects.open("a/b", len(content) if told else None) as file:
        assert file.size() == len(content)
        for _ in range(50):
            start, length = draw.randrange(1_000_000), draw.choice([1, 100, 300_000])
            file.seek(start)
            assert file.read(length) == content[start : start + length]
            assert file.tell() == min(start + length, len(content))
        assert file.read_at(10, len(content) - 4) == content[-4:]


def test_a_file_of_columns(objects: ObjectStore) -> None:
    """As blocks are: opened again with a footer that is known."""
    table = pa.table({"a": list(range(50_000)), "b": [f"text {k}" for k in range(50_000)]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=10_000)
    objects.put("a/b", sink.getvalue())
    with pq.ParquetFile(objects.open("a/b")) as file:
        footer = file.metadata
        assert file.read() == table
    with pq.ParquetFile(objects.open("a/b"), metadata=footer, pre_buffer=False) as file:
        assert file.read_row_group(3, columns=["b"]) == table.select(["b"]).slice(30_000, 10_000)


def test_what_is_created_is_not_overwritten(shared: SharedObjects) -> None:
    shared.create("j/1", b"mine")
    for _ in range(2):
        with pytest.raises(ObjectExistsError):
            shared.create("j/1", b"another's")
    assert shared.get("j/1") == b"mine"
    shared.create("j/1", b"mine")
    shared.put("j/2", b"put")
    with pytest.raises(ObjectExistsError):
        shared.create("j/2", b"created")
    shared.delete("j/1")
    shared.create("j/1", b"another's")
    assert sorted(shared.list("")) == ["j/1", "j/2"]


def test_one_of_many_creators_wins(shared: SharedObjects) -> None:
    with ThreadPoolExecutor(16) as pool:

        def create(number: int) -> bool:
            try:
                shared.create("j/1", b"%d" % number)
            except ObjectExistsError:
                return False
            return True

        for _ in range(3):
            won = list(pool.map(create, range(16)))
            assert sum(won) == 1
            assert shared.get("j/1") == b"%d" % won.index(True)
            shared.delete("j/1")


def test_list_is_sorted_and_by_prefix(objects: ObjectStore) -> None:
    assert list(objects.list("")) == []
    for key in ("b/2", "b/10", "a/x/y", "b.json", "bc/1"):
        objects.put(key, b"x")
    assert list(objects.list("")) == ["a/x/y", "b.json", "b/10", "b/2", "bc/1"]
    assert list(objects.list("b/")) == ["b/10", "b/2"]
    assert list(objects.list("a/x")) == ["a/x/y"]
    assert list(objects.list("c/")) == []


def test_delete_and_move(objects: ObjectStore) -> None:
    objects.put("a/b", b"x")
    objects.move("a/b", "c/d")
    assert list(objects.list("")) == ["c/d"]
    objects.delete("c/d")
    objects.delete("c/d")
    assert list(objects.list("")) == []


def test_what_is_not_there(objects: ObjectStore) -> None:
    for ask in (objects.get, objects.open, objects.size):
        with pytest.raises(ObjectMissingError):
            ask("a/b")
    objects.put("a/b", b"x")
    with pytest.raises(ObjectError):
        objects.get("a")


def test_a_local_file_is_stored(objects: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path.with_name(f"{tmp_path.name}-source")
    source.write_bytes(b"content")
    objects.put_file("a/b", source)
    assert objects.get("a/b") == b"content"
