"""What does a store that is far away, slow, broken or not what it says make of a call?

Through a proxy that fails as it is told, before a real server. An outage is never a missing or
a damaged object: else a block would be set aside for a network that was away.
"""

import random
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.block.footer import DamagedBlockError, reading
from storage.objects import bucket
from storage.objects.base import (
    BadObjectError,
    ObjectError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectStore,
    SharedObjects,
)
from storage.objects.places import objects_at
from storage.objects.remote import RETRIES, RETRY
from tests.servers.fault_proxy import Fault, FaultProxy, Kind
from tests.servers.s3 import CREDENTIALS, S3

SECRET = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
FOREVER = 10**9
CONTENT = random.Random(5).randbytes(100_000)

Read = Callable[[ObjectStore], object]
READS: dict[str, Read] = {
    "get": lambda objects: objects.get("a/b"),
    "ranges": lambda objects: objects.get_ranges("a/b", [(5, 10)]),
    "file": lambda objects: objects.open("a/b", len(CONTENT)).read(),
}


@pytest.fixture
def far(s3_server: S3, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> SharedObjects:
    """Objects behind the proxy, of which there is one; pauses between tries are short."""
    quick = timedelta(milliseconds=5)
    monkeypatch.setattr(
        bucket, "RETRY", {**RETRY, "backoff": {"init_backoff": quick, "max_backoff": quick}}
    )
    url = s3_server.fresh()
    objects = objects_at(S3(proxy.port).reaching(url))
    objects.put("a/b", CONTENT)
    proxy.requests()
    return objects


def is_outage(error: ObjectError) -> bool:
    """Whether nobody can take it for a fault of the object."""
    return not isinstance(error, BadObjectError) and SECRET not in str(error)


@pytest.mark.parametrize("kind", [Kind.REFUSE, Kind.DROP, Kind.LOSE, Kind.CUT])
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_is_tried_again(
    far: SharedObjects, proxy: FaultProxy, kind: Kind, read: Read
) -> None:
    whole = read(far)
    proxy.tell(Fault(kind, "GET", times=2))
    assert read(far) == whole
    proxy.tell(Fault(kind, "GET", times=FOREVER))
    proxy.requests()
    with pytest.raises(ObjectError) as found:
        read(far)
    assert is_outage(found.value)
    assert len(proxy.requests()) > RETRIES


@pytest.mark.parametrize("kind", [Kind.REFUSE, Kind.DROP, Kind.LOSE])
def test_a_put_is_tried_again(far: SharedObjects, proxy: FaultProxy, kind: Kind) -> None:
    proxy.tell(Fault(kind, "PUT", times=2))
    far.put("a/c", b"content")
    assert far.get("a/c") == b"content"
    proxy.tell(Fault(kind, "PUT", times=FOREVER))
    with pytest.raises(ObjectError) as found:
        far.put("a/d", b"content")
    assert is_outage(found.value)


PART, COMPLETE = ("PUT", "partNumber=2"), ("POST", "uploadId=")


def uploads_of(proxy: FaultProxy) -> list[str]:
    """Uploads in parts that are neither completed nor given up, in all buckets."""

    def told(path: str, name: str) -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.target}/{path}") as answer:
            return re.findall(f"<{name}>([^<]*)</{name}>", answer.read().decode())

    names = told("", "Name")
    assert names
    return [key for name in names for key in told(f"{name}?uploads", "Key")]


@pytest.mark.parametrize("kind", [Kind.REFUSE, Kind.DROP, Kind.LOSE])
@pytest.mark.parametrize("where", [PART, COMPLETE], ids=["part", "complete"])
@pytest.mark.parametrize("times", [2, FOREVER])
def test_a_large_object_is_there_whole_or_not_at_all(
    far: SharedObjects, proxy: FaultProxy, kind: Kind, where: tuple[str, str], times: int
) -> None:
    """It is put in parts; what was begun in vain is taken back."""
    content = random.Random(6).randbytes(12 << 20)
    proxy.tell(Fault(kind, *where, times=times))
    failed: list[ObjectError] = []
    try:
        far.put("a/large", content)
    except ObjectError as error:
        failed.append(error)
    assert all(map(is_outage, failed))
    method, text = where
    met = [r for r in proxy.requests() if r.startswith(method) and text in r]
    assert len(met) > 1, "the fault had its turn"
    proxy.tell()
    keys = list(far.list("a/"))
    assert failed or "a/large" in keys
    if "a/large" in keys:
        assert far.get("a/large") == content
    assert bool(failed) is (times == FOREVER)
    assert uploads_of(proxy) == [], "parts that nobody will complete"
    assert "a/large" not in keys or times != FOREVER or kind is Kind.LOSE


@pytest.mark.parametrize("kind", [Kind.REFUSE, Kind.DROP, Kind.LOSE])
@pytest.mark.parametrize("times", [1, RETRIES + 2])
def test_a_creation_whose_outcome_is_unknown_is_done_once(
    far: SharedObjects, proxy: FaultProxy, kind: Kind, times: int
) -> None:
    """Also when one call gave up and the next one has to find out."""
    proxy.tell(Fault(kind, "PUT", times=times))
    far.create("j/1", b"mine")
    proxy.tell()
    assert far.get("j/1") == b"mine"
    with pytest.raises(ObjectExistsError):
        far.create("j/1", b"another's")


def test_a_creation_that_another_was_faster_at_is_refused(
    far: SharedObjects, proxy: FaultProxy
) -> None:
    """The other comes between a try that failed and the next."""
    proxy.tell(Fault(Kind.SLOW, "PUT", seconds=0.5))
    outcome: list[Exception] = []

    def create() -> None:
        try:
            far.create("j/1", b"mine")
        except ObjectError as error:
            outcome.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    while not proxy.requests():
        time.sleep(0.01)
    far.create("j/1", b"faster")
    thread.join()
    assert [type(error) for error in outcome] == [ObjectExistsError]
    assert far.get("j/1") == b"faster"


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_what_the_store_refuses_is_no_fault_of_the_object(
    far: SharedObjects, proxy: FaultProxy, status: int
) -> None:
    proxy.tell(Fault(Kind.REFUSE, times=FOREVER, status=status))
    calls: tuple[Read, ...] = (
        *READS.values(),
        lambda o: o.size("a/b"),
        lambda o: o.open("a/x"),
        lambda o: list(o.list("a/")),
        lambda o: o.put("a/c", b""),
        lambda o: o.delete("a/c"),
        lambda o: o.move("a/b", "a/c"),
    )
    for call in calls:
        with pytest.raises(ObjectError) as found:
            call(far)
        assert is_outage(found.value), found.value
    proxy.tell()
    assert far.get("a/b") == CONTENT


def test_nobody_answers() -> None:
    far = objects_at("s3://bucket/prefix?endpoint=http://127.0.0.1:1&region=x")
    began = time.monotonic()
    with pytest.raises(ObjectError) as found:
        far.get("a/b")
    assert is_outage(found.value)
    assert time.monotonic() - began < 60


def test_a_missing_bucket_is_an_outage(s3_server: S3) -> None:
    far = objects_at(s3_server.url("no-such-bucket/prefix"))
    calls: tuple[Read, ...] = (
        *READS.values(),
        lambda o: o.size("a/b"),
        lambda o: o.open("a/b"),
        lambda o: list(o.list("a/")),
        lambda o: o.put("a/b", b""),
    )
    for call in calls:
        with pytest.raises(ObjectError, match="bucket") as found:
            call(far)
        assert is_outage(found.value)


def test_columns_of_a_store_that_goes_away_are_an_outage_and_a_short_object_is_damaged(
    far: SharedObjects, proxy: FaultProxy
) -> None:
    """As the reader of blocks tells them apart, through Arrow."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": random.Random(1).choices(range(2**60), k=200_000)}), sink)
    content = sink.getvalue().to_pybytes()
    far.put("a/b", content)
    footer = pq.read_metadata(pa.BufferReader(content))
    proxy.tell(Fault(Kind.REFUSE, "GET", times=FOREVER))
    for known in (None, footer):
        with pytest.raises(ObjectError) as found, reading("a/b"):
            pq.ParquetFile(far.open("a/b"), metadata=known).read()
        assert is_outage(found.value)
    proxy.tell()
    proxy.requests()
    with pq.ParquetFile(far.open("a/b"), metadata=footer) as file:
        assert file.read().num_rows == 200_000
    assert len(proxy.requests()) == 1, "no look at the size"
    objects_at_large = far.open("a/b")
    far.put("a/b", content[: len(content) // 2])
    with pytest.raises(BadObjectError, match="shorter"), reading("a/b"):
        pq.ParquetFile(objects_at_large, metadata=footer).read()
    far.put("a/b", b"?" * len(content))
    with pytest.raises(DamagedBlockError), reading("a/b"):
        pq.ParquetFile(far.open("a/b")).read()


def test_a_small_object_comes_with_one_request(far: SharedObjects, proxy: FaultProxy) -> None:
    with far.open("a/b", len(CONTENT)) as file:
        for place in range(0, len(CONTENT), 1000):
            file.seek(place)
            assert file.read(1000) == CONTENT[place : place + 1000]
    assert len(proxy.requests()) == 1
    far.put("a/c", CONTENT)
    with far.open("a/c") as file:
        assert file.read() == CONTENT
    assert [one.split()[0] for one in proxy.requests()] == ["PUT", "GET"], "the size is known"


def test_what_another_process_deleted_is_missing(s3_server: S3) -> None:
    url = s3_server.fresh()
    mine, theirs = objects_at(url), objects_at(url)
    mine.put("a/b", b"content")
    theirs.delete("a/b")
    for call in (
        lambda: mine.get("a/b"),
        lambda: mine.size("a/b"),
        lambda: mine.open("a/b").read(),
    ):
        with pytest.raises(ObjectMissingError):
            call()
