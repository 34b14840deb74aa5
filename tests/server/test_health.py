"""Does each part say what is wrong with it, since when, and what is to be done?"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import orjson
import pytest
from starlette.types import Message

from ingester.flush import FlushError
from ingester.recovery import Replayed
from narfi.core.clock import ManualClock
from narfi.core.errors import AppError
from narfi.core.grant import ANYBODY
from narfi.core.settings import ROLES
from narfi.core.tenant import TenantId
from narfi.server import part_checks
from narfi.server.app import build_app
from narfi.server.health import Found, Health, PartState
from narfi.server.limits_api import rows_of_process, rows_of_tenant
from narfi.server.observing import Requests
from narfi.server.own_requests import OwnRequest, ask
from narfi.server.part_checks import look
from narfi.server.reach import AwayError, Part, Reach
from narfi.server.readiness import Readiness
from narfi.server.reload import unloaded
from narfi.server.state import state_of
from narfi.server.status import Ready
from narfi.server.wiring import Server
from querier.running import Asked
from storage.block.folders import PREFIX
from storage.objects.base import BadObjectError
from tests.server.damaged_folder import ALPHA, probes, push, served
from tests.storage.catalog.rows import every_block
from tests.storage.form import ORDINARY
from upkeep.disk import DiskSpace

NOW_NS = time.time_ns()


def parts(server: Server) -> dict[str, PartState]:
    """The parts by name."""
    return {one.part: one for one in look(server, unloaded(server))}


def status(server: Server) -> dict[str, Any]:
    """What the route answers."""
    found: dict[str, Any] = orjson.loads(
        orjson.dumps(state_of(server, Readiness(), unloaded(server)))
    )
    return found


def ready(server: Server) -> Ready:
    """Of a server that has started."""
    readiness = Readiness()
    readiness.ready()
    return Ready(
        readiness=readiness,
        away=lambda: server.places.reach.away,
        trouble=server.journals.trouble,
        roles=ROLES,
        hinders=server.health.hinders,
        far=server.places.reach.parts,
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with a block and an unflushed push."""
    with served(tmp_path) as found:
        push(found, probes(NOW_NS)[0])
        found.flusher.flush_all()
        push(found, probes(NOW_NS)[3])
        yield found


def test_since_when(tmp_path: Path) -> None:
    clock = ManualClock(100)
    health = Health(clock)
    assert list(health.parts()) == []
    health.note([Found(part="disk"), Found(part="flush", state="degraded", what="a")])
    clock.advance(10)
    first, second = health.note(
        [Found(part="disk"), Found(part="flush", state="degraded", what="b")]
    )
    assert (first.part, first.state, first.since_ns, first.what) == ("flush", "degraded", 100, "b")
    assert (second.part, second.since_ns) == ("disk", 100)
    clock.advance(10)
    first, _ = health.note([Found(part="disk"), Found(part="flush", state="failing")])
    assert first.since_ns == 120
    assert list(health.hinders("ingester")) == []
    health.note([Found(part="disk", state="failing", what="full")])
    assert [one.what for one in health.hinders("ingester")] == ["full"]
    assert list(health.hinders("querier")) == []


def test_a_server_that_is_well(server: Server) -> None:
    found = parts(server)
    assert {one.state for one in found.values()} == {"ok"}
    assert len(found) == len(part_checks.CHECKS) + 1
    assert ready(server).answer() == (200, "ready\n")
    told = status(server)
    assert told["unanswered"] == {}
    assert told["flush"]["unflushed_bytes"] > 0
    assert told["flush"]["failing"] == []
    assert told["journal"]["bytes"] > 0
    assert told["disk"]["free_bytes"] > 0
    assert [(one["level"], one["blocks"]) for one in told["levels"]] == [(0, 1)]
    assert told["ingesters"] == 1
    assert told["uptime_s"] >= 0


def test_a_full_disk(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_checks, "space_of", lambda _: DiskSpace(total=10**9, free=4096))
    monkeypatch.setattr(part_checks, "_takes", lambda _: False)
    disk = parts(server)["disk"]
    assert disk.state == "failing"
    assert f"the disk of {server.settings.data_dir} is full (4.0 KiB of 954 MiB free)" in disk.what
    assert "pushes are refused" in disk.what
    assert disk.step.startswith("free space")
    status_code, text = ready(server).answer()
    assert status_code == 200, "it answers queries"
    assert text.startswith("ready\ndisk since ")
    assert "is full" in text
    code, text = ready(server).of_role("ingester")
    assert code == 503
    assert text.startswith("not ready: disk since ")
    assert ready(server).of_role("querier") == (200, "ready\n")


def test_a_disk_that_takes_nothing_and_is_not_full(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_checks, "_takes", lambda _: False)
    server.journal.counters.went_wrong("the journal cannot be written: Input/output error")
    disk = parts(server)["disk"]
    assert disk.state == "failing"
    assert "takes nothing, though" in disk.what
    assert "Input/output error" in disk.what
    assert "dmesg" in disk.step


def test_a_disk_that_is_nearly_full(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_checks, "space_of", lambda _: DiskSpace(total=10**9, free=10**6))
    disk = parts(server)["disk"]
    assert disk.state == "degraded"
    assert "the oldest blocks are dropped" in disk.what
    assert ready(server).answer() == (200, "ready\n")


def test_a_disk_that_takes_something_again(server: Server, tmp_path: Path) -> None:
    server.journal.counters.trouble = "the journal cannot be written: No space left on device"
    assert {parts(server)[name].state for name in ("disk", "journal")} == {"ok"}
    assert not list(tmp_path.glob("*probe*"))


def test_a_journal_that_cannot_be_written(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_checks, "_takes", lambda _: False)
    server.journal.counters.trouble = "the journal cannot be written: Input/output error"
    journal = parts(server)["journal"]
    assert journal.state == "failing"
    assert "the newest pushes were refused, last at 1970" in journal.what
    assert "Input/output error" in journal.what


def test_a_journal_in_objects_is_tried_by_pushes_alone(server: Server) -> None:
    """Else who asks `/ready?role=ingester` would send none for ever."""
    far = replace(server, journals=replace(server.journals, file=None))
    server.journal.counters.went_wrong("the journal cannot be written within 5s: refused")
    assert parts(far)["journal"].state == "failing"
    server.journal.counters.trouble_ns -= 2 * part_checks.LATE_NS
    assert parts(far)["journal"].state == "degraded"


def test_it_is_told_while_the_server_starts(server: Server) -> None:
    readiness = Readiness()
    readiness.waiting("replaying the journal (34%, 12 MiB of 36 MiB, 1280 records)")
    app = build_app(server, readiness, MagicMock(), Requests("none"))

    async def of(path: str) -> tuple[int, bytes]:
        request = OwnRequest(path=path, tenant=ALPHA, grant=ANYBODY, host="test")
        return await ask(app, request, asyncio.get_running_loop().time() + 60)

    code, body = asyncio.run(of("/narfi/api/v1/status"))
    told = orjson.loads(body)
    assert (code, told["ready"]) == (200, False)
    assert told["not_ready_because"].startswith("replaying the journal (34%")
    assert told["parts"]
    code, body = asyncio.run(of("/ready"))
    assert code == 503
    assert body.startswith(b"not ready: replaying the journal (34%, 12 MiB of 36 MiB")
    assert asyncio.run(of("/narfi/api/v1/queries"))[0] == 503


def test_nobody_follows_what_is_half_replayed(server: Server) -> None:
    """A tail that began meanwhile would be handed old entries as new ones."""
    readiness = Readiness()
    sent: list[Message] = []
    readiness.waiting("replaying the journal (34%)")
    app = build_app(server, readiness, MagicMock(), Requests("none"))
    request = OwnRequest(path="/loki/api/v1/tail", tenant=ALPHA, grant=ANYBODY, host="test")

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(request.scope("websocket"), receive, send))
    assert [one["type"] for one in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 503
    assert sent[1]["body"] == b"not ready: replaying the journal (34%)\n"


def test_a_flush_that_does_not_get_on(server: Server, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "objects")
    (tmp_path / "objects").write_text("not a folder")
    with pytest.raises(FlushError):
        server.flusher.flush_all()
    flush = parts(server)["flush"]
    assert flush.state in ("degraded", "failing")
    assert f"the flush of tenant {ALPHA} failed" in flush.what
    assert "are in no block; the oldest entries wait since" in flush.what
    assert "nothing is lost" in flush.step
    (told,) = status(server)["flush"]["failing"]
    assert told["tenant"] == ALPHA
    assert told["failures"] >= 2


def test_a_flush_that_is_late(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    began = server.clock.now_ns() - 3 * server.settings.ingester.flush_age
    monkeypatch.setattr(server.heads, "oldest_ns", lambda: began)
    flush = parts(server)["flush"]
    assert (flush.state, flush.what.startswith("flushing is late")) == ("failing", True)


def test_a_damaged_block(server: Server, tmp_path: Path) -> None:
    (row,) = every_block(server.catalog)
    path = next((tmp_path / "objects" / PREFIX).rglob(ORDINARY.entries))
    path.write_bytes(path.read_bytes()[:-1])
    key = path.relative_to(tmp_path / "objects").as_posix()
    server.store.quarantine.judge(BadObjectError(key, "it is cut"))
    blocks = parts(server)["blocks"]
    assert blocks.state == "failing"
    assert row.block_id in blocks.what
    assert f"narfi restore --from BACKUP --block {row.block_id}" in blocks.step


def test_a_catalog_that_is_away(server: Server) -> None:
    def look_at_it() -> None:
        raise AwayError("connection refused")

    reach = Reach([Part("catalog", look_at_it), Part("objects", lambda: None)], server.clock)
    reach.run()
    away = replace(server, places=replace(server.places, reach=reach))
    found = parts(away)
    catalog = found["catalog"]
    assert catalog.state == "failing"
    assert "connection refused" in catalog.what
    assert "catalog.url" in catalog.step
    assert found["objects"].state == "ok"
    assert found["losses"].what.startswith("the catalog does not say how it is")
    told = status(away)
    assert told["blocks"] is None
    assert set(told["unanswered"]) == {"losses", "blocks", "levels", "journals", "failed_jobs"}
    code, text = ready(away).answer()
    assert code == 200
    assert text.count("catalog cannot be reached since") == 1
    assert text.count("\n") == 2
    assert ready(away).of_role("querier")[0] == 503
    assert ready(away).of_role("ingester")[0] == 200


def test_a_catalog_that_is_damaged(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def version() -> int:
        raise AppError("the catalog cannot be read: disk I/O error")

    monkeypatch.setattr(server.catalog, "version", version)
    catalog = parts(server)["catalog"]
    assert catalog.state == "failing"
    assert "disk I/O error" in catalog.what
    assert "narfi verify" in catalog.step


def test_upkeep_that_fails(server: Server) -> None:
    state = server.upkeep.states[0]
    state.last_error = "no room"
    upkeep = parts(server)["upkeep"]
    assert (upkeep.state, upkeep.what) == ("degraded", f"the task {state.task} failed: no room")


def test_roles_that_are_not_there(server: Server) -> None:
    one = replace(ready(server), roles=("querier",))
    assert one.of_role("querier") == (200, "ready\n")
    code, text = one.of_role("ingester")
    assert code == 503
    assert "takes no pushes" in text
    assert one.of_role("postman") == (
        400,
        "role is one of ingester, querier, compactor, ruler\n",
    )
    one.readiness.waiting("replaying the journal (3%)")
    assert one.answer() == (503, "not ready: replaying the journal (3%)\n")
    assert one.of_role("querier") == (503, "not ready: replaying the journal (3%)\n")


def test_how_far_a_replay_is(tmp_path: Path) -> None:
    assert str(Replayed(3, 512, 2048)) == "25%, 512 B of 2.0 KiB, 3 records"
    assert str(Replayed(3, 4096, 2048)) == "100%, 2.0 KiB of 2.0 KiB, 3 records"
    assert str(Replayed(3, 512, 0)) == "3 records"
    told: list[str] = []
    with served(tmp_path) as server:
        for _ in range(130):
            push(server, probes(NOW_NS)[3])
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(served(tmp_path, report=told.append))
    shares = [int(text.split("(")[1].split("%")[0]) for text in told if "%" in text]
    assert len(shares) == 2
    assert 40 <= shares[0] <= 50
    assert 90 <= shares[1] <= 100
    assert "128 records" in told[-1]


def test_limits_and_what_is_used(server: Server) -> None:
    settings = server.settings.model_copy(update={"overrides": {"alpha": {"max_line_size": "1KB"}}})
    with server.queries.running.one(Asked(tenants=(ALPHA,))) as budget:
        budget.charge(1000)
        rows = {row.name: row for row in rows_of_tenant(server, ALPHA, settings)}
    assert rows["max_line_size"].setting == "overrides.alpha.max_line_size"
    assert rows["query_timeout"].setting == "limits.query_timeout"
    assert (rows["query_timeout"].limit, rows["query_timeout"].unit) == (60.0, "s")
    assert rows["max_query_memory"].used == 1000
    assert rows["max_global_streams_per_user"].used == 2
    assert rows["ingestion_burst_size_mb"].used is not None
    assert rows["max_pending_delete_requests"].used == 0
    assert rows["max_line_size"].used is None
    assert rows["unflushed bytes of the tenant"].used == server.heads.held(ALPHA)
    other = {row.name: row for row in rows_of_tenant(server, TenantId("other"), settings)}
    assert other["max_line_size"].setting == "limits.max_line_size"
    assert other["max_global_streams_per_user"].used == 0
    process = {row.name: row for row in rows_of_process(server)}
    assert process["ingester.max_unflushed_bytes"].used == server.heads.bytes
    assert process["compactor.max_total_bytes"].used > 0  # type: ignore[operator]
    orjson.dumps([row.plain() for row in (*rows.values(), *process.values())])
