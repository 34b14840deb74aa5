"""Are the newest blocks decoded behind a start, one tenant as another, and does it end?"""

import asyncio
import json
from collections.abc import Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingester.service import PushRequest
from narfi.core.errors import AppError, ErrorKind
from narfi.core.settings import load_settings
from narfi.core.tenant import TenantId
from narfi.server import preparing
from narfi.server.preparing import newest_blocks, prepare
from narfi.server.wiring import Server, build

MINUTE = 60 * 10**9


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The parts of a server of several tenants, without listeners."""
    made = build(load_settings(None, {}, {"data_dir": str(tmp_path), "tenancy": "header"}))
    made.recover(lambda _: None)
    yield made
    made.stop()


def about_blocks(logged: Iterable[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    """Without what other threads tell the log meanwhile."""
    return [record for record in logged if record["event"].startswith("blocks are ")]


def store(server: Server, tenant: str, ts_ns: int, lines: int) -> str:
    """A block with some lines; its id."""
    known = {row.block_id for row in server.catalog.blocks(TenantId(tenant), 0, 2**63 - 1)}
    values = [[str(ts_ns + k), f"level=info n={k}"] for k in range(lines)]
    body = {"streams": [{"stream": {"app": "x"}, "values": values}]}
    request = PushRequest(
        body=json.dumps(body).encode(), content_type="application/json", content_encoding=""
    )
    server.pushes.push(TenantId(tenant), request)
    server.flusher.flush_all()
    (found,) = (
        row.block_id
        for row in server.catalog.blocks(TenantId(tenant), 0, 2**63 - 1)
        if row.block_id not in known
    )
    return found


def test_the_newest_blocks_come_first_of_each_tenant_in_turn(server: Server) -> None:
    now = server.clock.now_ns()
    large = [store(server, "large", now - k * MINUTE, 900) for k in (3, 2, 1)]
    small = store(server, "small", now - 20 * MINUTE, 10)
    old = store(server, "old", now - 3000 * MINUTE, 100)
    found = newest_blocks(server.catalog, server.clock)
    assert set(found[:3]) == {large[2], small, old}
    assert found[3:] == [large[1], large[0]]


def test_all_of_them_are_decoded(server: Server) -> None:
    now = server.clock.now_ns()
    ids = [store(server, tenant, now, 100) for tenant in ("a", "b")]
    with capture_logs() as logged:
        asyncio.run(prepare(server.store, server.catalog, server.clock, lambda: False))
    assert all((one, "line_sums") in server.store.columns for one in ids)
    (told,) = (record for record in logged if record["event"] == "blocks are prepared")
    assert told["columns_bytes"] == server.store.columns.bytes > 0


def test_while_queries_run_it_waits_between_steps(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(server, "a", server.clock.now_ns(), 10)
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr("narfi.server.preparing.asyncio.sleep", sleep)
    asyncio.run(prepare(server.store, server.catalog, server.clock, lambda: True))
    assert len(paused) > 2
    assert min(paused) > preparing.BUSY_PAUSE_S


def test_it_can_be_cancelled(server: Server) -> None:
    block = store(server, "a", server.clock.now_ns(), 10)

    async def run() -> None:
        work = prepare(server.store, server.catalog, server.clock, lambda: True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work, preparing.BUSY_PAUSE_S)

    asyncio.run(run())
    assert (block, "line_sums") not in server.store.columns


def test_a_catalog_that_is_away_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class AwayError(AppError):
        kind = ErrorKind.UNAVAILABLE

    def away(_: int) -> None:
        raise AwayError("the catalog is away")

    monkeypatch.setattr(server.catalog, "largest_tenants", away)
    with capture_logs() as logged:
        asyncio.run(prepare(server.store, server.catalog, server.clock, lambda: False))
    assert [one["error"] for one in about_blocks(logged)] == ["the catalog is away"]


def test_whatever_fails_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setattr(server.catalog, "largest_tenants", broken)
    with capture_logs() as logged:
        asyncio.run(prepare(server.store, server.catalog, server.clock, lambda: False))
    (told,) = about_blocks(logged)
    assert (told["event"], told["log_level"]) == ("blocks are not prepared", "error")
    assert "nobody thought of it" in told["error"]
