"""Which store does `storage.url` mean, and what is said of one that means none?"""

from pathlib import Path

import pytest

from narfi.core.errors import AppError
from storage.objects.filesystem import LocalObjects
from storage.objects.places import objects_at, shown
from storage.objects.remote import RemoteObjects

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"s3://key:{SECRET}@bucket/a", "credentials come from the environment"),
        (f"s3://bucket/a?secret_access_key={SECRET}", "unknown option 'secret_access_key'"),
        ("s3:///a", "names no bucket"),
        ("ftp://bucket/a", "ftp:// is not known"),
        ("gs://bucket/a?endpoint=http://127.0.0.1", "unknown option 'endpoint'"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_secrets(url: str, told: str) -> None:
    with pytest.raises(AppError, match=told.replace("?", r"\?")) as found:
        objects_at(url)
    assert SECRET not in str(found.value)


def test_a_folder_and_other_stores_are_named_by_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of the network before an object is."""
    for url in (str(tmp_path / "a"), f"file://{tmp_path}/b%20c"):
        objects_at(url).put("x", b"content")
    assert (tmp_path / "a" / "x").read_bytes() == (tmp_path / "b c" / "x").read_bytes()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    for url in ("gs://bucket/prefix", "az://container/prefix"):
        assert isinstance(objects_at(url), RemoteObjects)
    assert isinstance(objects_at(str(tmp_path)), LocalObjects)


def test_what_is_told_of_a_url_has_no_options() -> None:
    assert shown("s3://bucket/a?endpoint=http://127.0.0.1") == "s3://bucket/a"
    assert SECRET not in shown(f"s3://key:{SECRET}@bucket/a")
