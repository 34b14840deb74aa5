"""Do pushes go on while blocks cannot be stored, until memory is full, and never by waiting?"""

import asyncio
import time
from pathlib import Path

import pytest

from ingester.errors import OverloadedError, TenantFullError
from ingester.head_room import WAIT_S
from ingester.service import PushRequest
from narfi.core.tenant import TenantId
from narfi.server.wiring import Server
from storage.block.layout import is_commit
from storage.objects.base import ObjectError
from tests.ingester.test_recovery import served

A, B = TenantId("a"), TenantId("b")


def push(server: Server, tenant: TenantId, size: int = 1) -> None:
    """As a transport does it."""
    asyncio.run(server.pushes.wait_for_room(tenant))
    line, now = "x" * size, time.time_ns()
    body = f'{{"streams":[{{"stream":{{"app":"a"}},"values":[["{now}","{line}"]]}}]}}'
    server.pushes.push(
        tenant,
        PushRequest(body=body.encode(), content_type="application/json", content_encoding=""),
    )


def test_an_outage_of_the_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small parts wait, and nobody waits with them; then a tenant is full, then the server."""
    flags = {"ingester.flush_bytes": "10KB", "ingester.max_unflushed_bytes": "1MB"}
    with served(tmp_path, **flags) as server:
        objects = server.flusher._store._services.objects
        put = objects.put

        def refuse(key: str, data: bytes, *, settled: bool = True) -> None:
            if is_commit(key):
                raise ObjectError("the test says no")
            put(key, data, settled=settled)

        monkeypatch.setattr(objects, "put", refuse)
        push(server, A)
        server.heads.cut()
        until_failing(server, A)
        began = time.monotonic()
        push_many(server, [A] * 20)
        assert time.monotonic() - began < WAIT_S, "none of them waited"
        with pytest.raises(TenantFullError):
            push_many(server, [A] * 100)
        push(server, B)
        with pytest.raises(OverloadedError):
            push_many(server, [TenantId(f"t{number}") for number in range(200)])
        monkeypatch.undo()
        server.flusher.flush_all()
        assert server.heads.bytes == 0
        push(server, A)


def push_many(server: Server, tenants: list[TenantId]) -> None:
    """Nearly a part each."""
    for tenant in tenants:
        push(server, tenant, 9_000)


def until_failing(server: Server, tenant: TenantId) -> None:
    """The flusher has tried and failed."""
    server.flusher.wake()
    deadline = time.monotonic() + 60
    while not server.flusher.is_failing(tenant):
        assert time.monotonic() < deadline, "the flusher does not try"
        time.sleep(0.01)
