"""Is a push stored when `push` returns, and told what was not? In a whole server."""

from pathlib import Path

import pytest
import snappy
from prometheus_client import REGISTRY

from ingester.errors import (
    NothingPushedError,
    PushError,
    RateLimitedError,
    RefusedEntriesError,
)
from ingester.records import CODEC_ARROW, CODEC_PROTOBUF
from ingester.service import PushRequest
from narfi.core.wire.push_encode import encode_push_request
from narfi.server.wiring import Server
from storage.journal.file import FileJournal
from tests.ingester.pushed import TENANT, Entry
from tests.ingester.test_recovery import served

PROTOBUF = "application/x-protobuf"
APP = '{app="a"}'


def request(
    streams: dict[str, list[Entry]], *, encoding: str = "", backfill: str = ""
) -> PushRequest:
    """A push of streams."""
    body = snappy.compress(encode_push_request((text, e) for text, e in streams.items()))
    return PushRequest(
        body=body, content_type=PROTOBUF, content_encoding=encoding, backfill=backfill
    )


def stored(server: Server) -> list[bytes]:
    """Lines that the next query sees."""
    return sorted(
        line or b""
        for source in server.heads.sources(TENANT, -(2**63), 2**63 - 1)
        for line in source.batch.lines.spans().to_list()  # type: ignore[attr-defined]
    )


def codecs(server: Server, folder: Path) -> list[int]:
    """How the pushes lie in the journal."""
    server.journal.close()
    return [record.codec for record in FileJournal(folder / "journal").replay(print)]


def test_a_push_within_limits_is_kept_as_it_came(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        now = server.clock.now_ns()
        server.pushes.push(TENANT, request({APP: [(now, b"one", [])]}))
        assert stored(server) == [b"one"]
        assert codecs(server, tmp_path) == [CODEC_PROTOBUF]


def test_what_is_refused_leaves_the_others_stored(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        now = server.clock.now_ns()
        entries: list[Entry] = [(now, b"ok", []), (now + 10**15, b"of the future", [])]
        with pytest.raises(RefusedEntriesError, match="timestamp too new"):
            server.pushes.push(TENANT, request({APP: entries}))
        assert stored(server) == [b"ok"]
        assert codecs(server, tmp_path) == [CODEC_ARROW], "the rest, not the body"


def test_nothing_is_stored_of_what_is_refused_whole(tmp_path: Path) -> None:
    with served(tmp_path, **{"limits.ingestion_burst_size_mb": 0.0001}) as server:
        now = server.clock.now_ns()
        with pytest.raises(RateLimitedError):
            server.pushes.push(TENANT, request({APP: [(now, b"x" * 200, [])]}))
        with pytest.raises(NothingPushedError):
            server.pushes.push(TENANT, request({}))
        assert stored(server) == []
        assert server.heads.bytes == 0
        assert codecs(server, tmp_path) == []


OTHER = '{app="b"}'


@pytest.mark.parametrize(
    ("reason", "limits", "streams", "entries", "size"),
    [
        ("rate_limited", {"ingestion_burst_size_mb": 0.0001}, {APP: [200, 10]}, 2, 210),
        ("stream_limit", {"max_global_streams_per_user": 1}, {APP: [5], OTHER: [7, 8]}, 2, 15),
        (
            "per_stream_rate_limit",
            {"per_stream_rate_limit": 10, "per_stream_rate_limit_burst": 100},
            {APP: [5], OTHER: [70, 80]},
            2,
            150,
        ),
        ("too_far_behind", {"out_of_order_window": "1s"}, {APP: [5, -7]}, 1, 7),
    ],
)
def test_what_limits_refuse_is_counted(
    tmp_path: Path,
    reason: str,
    limits: dict[str, object],
    streams: dict[str, list[int]],
    entries: int,
    size: int,
) -> None:
    """Lines of these lengths; a negative one is two seconds old."""
    settings = {f"limits.{name}": value for name, value in limits.items()}
    with served(tmp_path, **settings) as server:
        now = server.clock.now_ns()
        pushed: dict[str, list[Entry]] = {
            text: [(now - 2 * 10**9 * (n < 0), b"x" * abs(n), []) for n in lengths]
            for text, lengths in streams.items()
        }
        before = _counted("discarded", reason)
        with pytest.raises(PushError):
            server.pushes.push(TENANT, request(pushed))
        now_counted = _counted("discarded", reason)
        assert [a - b for a, b in zip(now_counted, before, strict=True)] == [entries, size]


def test_lines_that_are_cut_are_counted(tmp_path: Path) -> None:
    settings = {"limits.max_line_size": 4, "limits.max_line_size_truncate": True}
    with served(tmp_path, **settings) as server:
        now = server.clock.now_ns()
        before = _counted("mutated", "line_too_long")
        server.pushes.push(TENANT, request({APP: [(now, b"1234", []), (now + 1, b"123456", [])]}))
        counted = _counted("mutated", "line_too_long")
        assert [a - b for a, b in zip(counted, before, strict=True)] == [1, 2]
        assert stored(server) == [b"1234", b"1234"]


def _counted(what: str, reason: str) -> list[float]:
    """Entries and bytes of a reason so far."""
    labels = {"reason": reason, "tenant": TENANT}
    names = (f"loki_{what}_{kind}_total" for kind in ("samples", "bytes"))
    return [REGISTRY.get_sample_value(name, labels) or 0.0 for name in names]


def test_a_backfill_may_be_old(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        with pytest.raises(RefusedEntriesError, match="timestamp too old"):
            server.pushes.push(TENANT, request({APP: [(1, b"old", [])]}))
        server.pushes.push(TENANT, request({APP: [(1, b"old", [])]}, backfill="7"))
        assert stored(server) == [b"old"]


def test_a_message_of_grpc_is_stored_too(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        now = server.clock.now_ns()
        server.pushes.push_message(TENANT, encode_push_request([(APP, [(now, b"one", [])])]))
        assert stored(server) == [b"one"]
