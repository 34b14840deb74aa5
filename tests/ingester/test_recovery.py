"""Does a start bring everything back that was acknowledged, and say what it cannot bring back?"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ingester.records import decode_record_body
from ingester.service import PushRequest
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.settings import load_settings
from narfi.core.tenant import TenantId
from narfi.server.wiring import Server, build
from querier.budget import Budget
from querier.query import QueryOptions
from querier.service import TimeRange
from storage.batch import LogBatch
from storage.journal.segment import segment_paths

TENANT = TenantId("fake")
EVERYTHING = TimeRange((TENANT,), 0, 2**62)
ALL = (Matcher("app", MatchOp.RE, ".+"),)


@contextmanager
def served(folder: Path, **flags: object) -> Iterator[Server]:
    """A started server without listeners; what is not flushed stays in the journal."""
    settings = load_settings(
        None, {}, {"data_dir": str(folder), "ingester.flush_age": "1h", **flags}
    )
    server = build(settings)
    try:
        server.recover(lambda _: None)
        yield server
    finally:
        server.stop()


def push(server: Server, count: int, app: str = "a") -> None:
    """One push of `count` entries."""
    now = time.time_ns()
    values = ",".join(f'["{now + k}","line {k}"]' for k in range(count))
    body = f'{{"streams":[{{"stream":{{"app":"{app}"}},"values":[{values}]}}]}}'
    server.pushes.push(
        TENANT,
        PushRequest(body=body.encode(), content_type="application/json", content_encoding=""),
    )


def entries(server: Server) -> int:
    """How many there are."""
    return server.queries.service.index_stats(EVERYTHING, ALL, Budget()).value.entries


def test_a_restart_replays_what_no_block_holds(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        push(server, 10)
        server.flusher.flush_all()
        push(server, 5)
    with served(tmp_path) as server:
        assert entries(server) == 15


def test_nothing_is_forgotten_while_a_long_journal_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many segments, a part a record, and a record that takes long: heads are empty meanwhile."""
    with served(tmp_path) as server:
        monkeypatch.setattr(server.journal, "_segment_bytes", 1)
        for number in range(8):
            push(server, 10, f"app {number}")
    assert len(segment_paths(tmp_path / "journal")) == 8
    flags = {"data_dir": str(tmp_path), "ingester.flush_age": "1h", "ingester.flush_bytes": "50B"}
    server = build(load_settings(None, {}, flags))
    records = 0

    def slow(*arguments: Any) -> LogBatch:
        nonlocal records
        records += 1
        if records == 5 and server.flusher._thread is not None:  # one that runs flushes all of it
            until = time.monotonic() + 60
            while server.heads.bytes and time.monotonic() < until:
                server.flusher.wake()
                time.sleep(0.01)
            server.flusher.flush_all()
        return decode_record_body(*arguments)

    monkeypatch.setattr("ingester.recovery.decode_record_body", slow)
    try:
        server.recover(lambda _: None)
        server.flusher.flush_all()
        assert records == 8
        assert entries(server) == 80
    finally:
        server.stop()
    with served(tmp_path) as again:
        assert entries(again) == 80
        assert list(again.catalog.losses()) == []


def test_positions_begin_above_the_watermark_and_the_loss_is_told(tmp_path: Path) -> None:
    """The journal's newest segment goes: what was in blocks stays, and new pushes are not lost."""
    with served(tmp_path) as server:
        push(server, 10)
        push(server, 10)
        server.flusher.flush_all()
    for path in segment_paths(tmp_path / "journal"):
        path.unlink()
    (tmp_path / "journal" / "mark").unlink()
    with served(tmp_path) as server:
        assert [loss.last_position for loss in server.catalog.losses()] == [2]
        push(server, 7)
    with served(tmp_path) as server:
        assert entries(server) == 27
        assert len(server.catalog.losses()) == 1, "told once"


def test_a_journal_whose_folder_is_gone_is_told(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        push(server, 10)
        server.flusher.flush_all()
        old = server.journal.journal_id
        push(server, 3)
    (tmp_path / "journal").rename(tmp_path / "elsewhere")
    with served(tmp_path) as server:
        assert entries(server) == 10
        loss = server.catalog.losses()[0]
        assert (loss.journal_id, loss.first_position) == (old, 2)
        assert loss.from_ns < time.time_ns() - 10**9 * 60 < loss.to_ns


def test_a_damaged_record_is_told_with_the_time_that_it_can_touch(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        for _ in range(3):
            push(server, 10)
    path = segment_paths(tmp_path / "journal")[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with served(tmp_path) as server:
        assert entries(server) == 20
        (loss,) = server.catalog.losses()
        assert (loss.first_position, loss.last_position) == (2, 2)
        assert loss.from_ns < time.time_ns() < loss.to_ns


def test_answers_warn_where_entries_may_be_missing_until_it_is_understood(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        for _ in range(3):
            push(server, 10)
    path = segment_paths(tmp_path / "journal")[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    now = time.time_ns()
    hour = 3600 * 10**9
    with served(tmp_path) as server:

        def warnings(text: str, start_ns: int, end_ns: int) -> tuple[str, ...]:
            limits = server.limits(TENANT)
            options = QueryOptions(
                tenants=(TENANT,), start_ns=start_ns, end_ns=end_ns, step_ns=hour, limits=limits
            )
            return server.queries.service.query(text, options).warnings

        (told,) = warnings('{app="a"}', now - hour, now + hour)
        assert "may be missing: bytes of the journal are damaged (records 2 to 2 of journal" in told
        assert warnings('{app="a"}', now - 9 * hour, now - 3 * hour) == ()
        assert warnings('sum(rate({app="a"}[5m]))', now - 9 * hour, now - 3 * hour) == ()
        reaching_back = "sum(rate({app='a'}[9h]))".replace("'", '"')
        assert warnings(reaching_back, now + hour, now + 2 * hour) == (told,)
        assert server.catalog.understand_losses() == 1
    with served(tmp_path) as server:
        assert warnings('{app="a"}', now - hour, now + hour) == ()


def test_a_changed_setting_does_not_move_entries_to_another_stream(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        push(server, 1, "shop")
    changed = {"discover_service_name": [], "discover_log_levels": False}
    with served(tmp_path, limits=changed) as server:
        assert server.limits(TENANT).discover_service_name == ()
        (labels,) = server.queries.service.series(EVERYTHING, [ALL], Budget()).value
        assert labels == (("app", "shop"), ("service_name", "shop"))
    assert Limits().discover_service_name != ()
