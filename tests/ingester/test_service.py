"""Is a push stored when `push` returns, and told what was not? In a whole server."""

from pathlib import Path

import pytest
import snappy

from ingester.errors import NothingPushedError, RateLimitedError, RefusedEntriesError
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
