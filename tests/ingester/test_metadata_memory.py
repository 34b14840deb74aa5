"""Does a push take memory in proportion to its body, also with a metadata name for every entry?"""

import gc
import time
import tracemalloc
from pathlib import Path

import pyarrow as pa

from ingester.service import PushRequest
from narfi.core.wire.push_encode import encode_push
from narfi.server.wiring import Server
from querier.query import QueryOptions
from querier.result import StreamsResult
from tests.ingester.test_recovery import TENANT, served

NAMES = 16_000
MOST = 50 * 2**20
SELECTOR = '{app="a"}'


def test_a_name_for_every_entry(tmp_path: Path) -> None:
    """A dense column for each would take a gigabyte. The push, the head's answers, the flush."""
    now = time.time_ns()
    entries = [(now + k, b"line", [(f"n{k}", f"v{k}")]) for k in range(NAMES)]
    body = encode_push([('{app="a"}', entries)])
    with served(tmp_path) as server:
        gc.collect()
        pool = pa.default_memory_pool()
        before = pool.bytes_allocated()
        tracemalloc.start()
        try:
            server.pushes.push(
                TENANT,
                PushRequest(body=body, content_type="application/x-protobuf", content_encoding=""),
            )
            pushed = tracemalloc.get_traced_memory()[1] + pool.bytes_allocated() - before
            source, *more = server.heads.sources(TENANT, 0, 2**62)
            names = source.metadata_names()
            looked = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert not more
        assert len(names) == NAMES + 1, "and the level"
        assert pushed < MOST
        assert looked < MOST
        for _ in range(2):  # of the head, then of the block
            assert answer(server, f"{SELECTOR} | n15999=`v15999` or n7=`v7`", now) == {
                (now + 15999, "n15999", "v15999"),
                (now + 7, "n7", "v7"),
            }
            newest = range(NAMES - 100, NAMES)
            assert answer(server, SELECTOR, now) == {(now + k, f"n{k}", f"v{k}") for k in newest}
            server.flusher.flush_all()


def answer(server: Server, query: str, now: int) -> set[tuple[int, str, str]]:
    """(ts, metadata name, value) of the newest entries that the query finds, without the level."""
    options = QueryOptions(
        tenants=(TENANT,),
        start_ns=now,
        end_ns=now + NAMES,
        step_ns=10**9,
        limits=server.limits(TENANT),
    )
    result = server.queries.service.query(query, options).result
    assert isinstance(result, StreamsResult)
    return {
        (entry.ts_ns, name, value)
        for stream in result.streams
        for entry in stream.entries
        for name, value in stream.labels
        if name.startswith("n")
    }
