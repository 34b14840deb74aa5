"""What is special about objects behind a URL of Arrow's?"""

from pathlib import Path

import pytest
from pyarrow import fs

from storage.objects.arrow import ArrowObjects
from storage.objects.base import ObjectError


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/../../b", "a/."])
def test_keys_lead_nowhere_else(key: str) -> None:
    with pytest.raises(ObjectError, match="not allowed"):
        ArrowObjects.at("mock:///bucket").put(key, b"x")


def test_nothing_half_is_seen(tmp_path: Path) -> None:
    """Where a put is not atomic by itself, a temporary name is moved."""
    objects = ArrowObjects(fs.LocalFileSystem(), str(tmp_path))
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
