"""Is a store taken that creates conditionally, and one refused that does not?"""

from pathlib import Path

import pytest

from storage.objects.base import ObjectError
from storage.objects.filesystem import LocalObjects
from storage.objects.places import objects_at
from storage.objects.probe import UnfitStoreError, check_store
from tests.servers import nanio_server
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.s3 import CREDENTIALS, S3


def test_stores_that_create_conditionally_are_taken(tmp_path: Path, s3_server: S3) -> None:
    for objects in (LocalObjects(tmp_path), objects_at(s3_server.fresh())):
        check_store(objects, "here")
        assert list(objects.list("")) == []


def test_a_store_that_may_not_be_written_is_told(s3_server: S3, proxy: FaultProxy) -> None:
    url = s3_server.fresh()
    proxy.tell(Fault(Kind.REFUSE, "PUT", times=10**9, status=403))
    with pytest.raises(ObjectError, match="access is refused"):
        check_store(objects_at(S3(proxy.port).reaching(url)), "here")


def test_a_store_that_overwrites_what_must_not_be_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nanio answers 200 to `If-None-Match: *` on an object that is there."""
    for name, text in CREDENTIALS.items():
        monkeypatch.setenv(name, text)
    (tmp_path / "bucket").mkdir()
    with nanio_server.running(tmp_path) as server:
        objects = objects_at(server.url("bucket/prefix"))
        objects.put("a", b"it works else")
        with pytest.raises(UnfitStoreError, match="takes no notice of If-None-Match"):
            check_store(objects, "s3://bucket/prefix")
        assert list(objects.list("")) == ["a"]
