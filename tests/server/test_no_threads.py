"""What if the system gives no more threads? The start says so, and nothing acknowledged is lost."""

import threading
from pathlib import Path

import pytest

from ingester.service import PushRequest
from narfi.core.errors import AppError, ErrorKind
from narfi.core.settings import load_settings
from narfi.core.tenant import TenantId
from narfi.core.threads import NoThreadError, started_pool
from narfi.server.wiring import Server, build
from querier.reading.duplicates import DuplicateIndex
from querier.reading.view import take_view
from tests.ingester.lives import ALL

TENANT = TenantId("fake")
BODY = b'{"streams": [{"stream": {"app": "a"}, "values": [["%d", "line"]]}]}'


class Starved:
    """Lets so many threads start, and no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self._start, self.left = threading.Thread.start, left
        monkeypatch.setattr(threading.Thread, "start", lambda thread: self._begin(thread))

    def _begin(self, thread: threading.Thread) -> None:
        if not self.left:
            raise RuntimeError("can't start new thread")
        self.left -= 1
        self._start(thread)


def started(server: Server) -> Server:
    """As a process starts it, without listeners."""
    server.recover(lambda _: None)
    server.start_upkeep()
    return server


def lines(server: Server) -> int:
    """How many entries queries see."""
    with server.flusher._store.reading() as blocks:
        found = take_view(server.heads, blocks, DuplicateIndex(), TENANT, (0, 2**62), ALL)
        return sum(int(one.source.table.rows.sum()) - len(one.excluded) for one in found.sources)


def test_at_every_thread_of_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(None, {}, {"data_dir": str(tmp_path)})
    server = started(build(settings))
    request = PushRequest(
        body=BODY % server.clock.now_ns(), content_type="application/json", content_encoding=""
    )
    server.pushes.push(TENANT, request)
    server.stop()
    number, whole, told = 0, False, list[NoThreadError]()
    while not whole:
        with monkeypatch.context() as patched:
            Starved(patched, number)
            built: Server | None = None
            try:
                built = build(settings)
                started(built)
                whole = True
            except NoThreadError as error:
                told.append(error)
            if built is not None:
                assert not whole or lines(built) == 1
                built.stop()
        number += 1
    wanted = settings.querier.scan_threads + settings.querier.query_threads
    assert number > wanted + settings.ingester.push_threads, "flusher and upkeep too"
    assert {error.kind for error in told} == {ErrorKind.UNAVAILABLE}
    assert all("raise the limit" in error.message for error in told)
    server = started(build(settings))
    assert lines(server) == 1
    server.stop()


def test_the_threads_of_a_pool_are_there_before_work_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = started_pool(3, "test")
    with monkeypatch.context() as patched:
        Starved(patched, 0)
        meeting = threading.Barrier(3)
        there = [pool.submit(meeting.wait, 60) for _ in range(3)]
        assert sorted(one.result(60) for one in there) == [0, 1, 2]
    pool.shutdown()


def test_a_push_that_meets_no_memory_for_its_frame_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its frame is durable is not known then, and frames behind it would wait for ever."""
    ended: list[str] = []
    server = build(load_settings(None, {}, {"data_dir": str(tmp_path)}))
    server.recover(lambda _: None)
    server.ledger._end = ended.append

    def starved(_record: object) -> int:
        raise MemoryError("no memory")

    monkeypatch.setattr(server.journal, "append", starved)
    request = PushRequest(
        body=BODY % server.clock.now_ns(), content_type="application/json", content_encoding=""
    )
    with pytest.raises(MemoryError):
        server.pushes.push(TENANT, request)
    assert len(ended) == 1
    assert "may be durable" in ended[0]
    with pytest.raises(AppError, match="the server ends"):
        server.ledger.durable([1])
    server.stop()
