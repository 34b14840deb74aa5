"""Do objects behind a URL behave as those in a folder? Of each kind of file system."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import fs

from storage.objects.arrow import ArrowObjects
from storage.objects.base import ObjectError, ObjectMissingError, ObjectStore
from storage.objects.filesystem import LocalObjects
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


@pytest.fixture(params=[in_memory, in_arrow, in_root, in_folder, in_dictionary])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty store of each kind."""
    made: Callable[[Path], ObjectStore] = request.param
    return made(tmp_path)


def test_put_get_size_open(objects: ObjectStore) -> None:
    objects.put("a/b/c", b"hello")
    assert objects.get("a/b/c") == b"hello"
    assert objects.size("a/b/c") == 5
    with objects.open("a/b/c") as file:
        file.seek(1)
        assert file.read(3) == b"ell"
    objects.put("a/b/c", b"")
    assert (objects.get("a/b/c"), objects.size("a/b/c")) == (b"", 0)


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


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../../b", "a/."])
def test_keys_lead_nowhere_else(key: str) -> None:
    with pytest.raises(ObjectError, match="not allowed"):
        ArrowObjects.at("mock:///bucket").put(key, b"x")


def test_nothing_half_is_seen(tmp_path: Path) -> None:
    """Where a put is not atomic by itself, a temporary name is moved."""
    objects = in_arrow(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".tmp-123-b").write_bytes(b"half")
    assert list(objects.list("")) == []
    objects.put("a/b", b"whole")
    assert list(objects.list("")) == ["a/b"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".tmp-123-b", "b"]


@pytest.mark.parametrize("url", ["nosuch://bucket/path", "s3://"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ObjectError, match="cannot be used"):
        ArrowObjects.at(url)


@pytest.mark.parametrize("more", ["", "&allow_delayed_open=false", "&scheme=http"])
def test_a_url_of_s3_names_bucket_and_prefix(more: str) -> None:
    """Nothing is asked of the network before an object is."""
    url = f"s3://bucket/a/prefix?region=eu-west-1&endpoint_override=127.0.0.1:9{more}"
    objects = ArrowObjects.at(url)
    assert objects._path("key") == "bucket/a/prefix/key"
