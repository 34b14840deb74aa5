"""Does `/status` tell what an operator should know, without looking at every object?"""

import contextlib
import time
from pathlib import Path
from typing import Any

import orjson

from narfi.core.clock import SystemClock
from narfi.server.readiness import Readiness
from narfi.server.reload import unloaded
from narfi.server.state import state_of
from narfi.server.wiring import Server
from storage.journal.segment import segment_paths
from storage.objects.filesystem import LocalObjects
from storage.vault.backup import backup
from storage.vault.data_dir import DataDir
from storage.vault.last_backup import LAST_BACKUP, last_backup
from storage.vault.record import BackupError
from tests.server.damaged_folder import probes, push, served
from tests.storage.catalog.rows import every_block
from upkeep.schedule import Task, Upkeep
from upkeep.worker import Kind, Work

NOW_NS = time.time_ns()


def status(server: Server) -> dict[str, Any]:
    """What the route answers."""
    readiness = Readiness()
    readiness.ready()
    found: dict[str, Any] = orjson.loads(
        orjson.dumps(state_of(server, readiness, unloaded(server)))
    )
    return found


def test_a_server_that_is_well(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        push(server, probes(NOW_NS)[0])
        server.flusher.flush_all()
        found = status(server)
        assert found["losses"] == {"count": 0, "newest": []}
        assert found["lost_found"] == {"folders": None, "set_aside": 0}
        assert found["blocks"] == {"visible": 1, "removed": 0, "intended": 0}
        assert found["last_backup"] is None
        assert found["roles"] == ["ingester", "querier", "compactor", "ruler"]
        assert found["journals"] == []
        assert found["journal"] == {
            "kind": "file",
            "acknowledges": True,
            "trouble": None,
            "id": server.journal.journal_id,
            "bytes": server.journal.stored_bytes(),
            "damaged_segments": 0,
            "lost_frames": 0,
            "failed_commits": 0,
        }


def test_losses_and_folders_that_were_set_aside(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        push(server, probes(NOW_NS)[0])
        push(server, probes(NOW_NS)[2])
    (segment,) = segment_paths(tmp_path / "journal")
    segment.write_bytes(segment.read_bytes()[:-1])
    with served(tmp_path) as server:
        LocalObjects(tmp_path / "objects").put("blocks/alpha/2026-01-01/x/lines.parquet", b"half")
        server.upkeep.run_once()
        found = status(server)
    losses = found["losses"]
    assert losses["count"] == 1
    assert losses["newest"][0]["first_position"] == losses["newest"][0]["last_position"] == 2
    assert found["lost_found"] == {"folders": 1, "set_aside": 1}
    journal = found["journal"]
    assert (journal["damaged_segments"], journal["lost_frames"]) == (1, 1)


def test_jobs_that_failed(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        push(server, probes(NOW_NS)[0])
        server.flusher.flush_all()
        assert status(server)["failed_jobs"] == {"count": 0, "jobs": []}
        (row,) = every_block(server.catalog)
        work = Work(Kind.MERGE, row.tenant, (row.block_id,))

        def fail() -> int:
            raise BackupError("no room")

        with contextlib.suppress(BackupError), server.worker.round(Kind.MERGE) as this:
            this.do(work, fail)
        found = status(server)["failed_jobs"]
        told = found["jobs"][0]
        assert found["count"] == len(found["jobs"]) == 1
        assert told["not_before_ns"] > time.time_ns()
        assert {**told, "not_before_ns": 0} == {
            "job_id": work.job().job_id,
            "kind": "merge",
            "tenant": row.tenant,
            "blocks": [row.block_id],
            "attempts": 1,
            "not_before_ns": 0,
            "error": "no room",
        }
    with served(tmp_path) as server:
        (told,) = status(server)["failed_jobs"]["jobs"]
        assert (told["attempts"], told["not_before_ns"]) == (1, 0), "a start tries at once"


def test_upkeep_that_fails_and_is_well_again() -> None:
    errors: list[Exception] = [BackupError("no room"), ValueError("a bug")]

    def work() -> int:
        if errors:
            raise errors.pop(0)
        return 1

    upkeep = Upkeep("test", (Task("works", lambda: 0), Task("fails", work)), 1.0)
    works, fails = upkeep.states
    for runs, error in enumerate(("no room", "ValueError('a bug')"), start=1):
        upkeep.run_once()
        assert (fails.runs, fails.failures, fails.last_error) == (runs, runs, error)
        assert fails.last_success_ns is None
    upkeep.run_once()
    assert (fails.runs, fails.failures, fails.last_error) == (3, 2, None)
    assert fails.last_success_ns is not None
    assert (works.runs, works.failures) == (3, 0)


def test_the_last_backup(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    with served(data.root) as server:
        push(server, probes(NOW_NS)[0])
        server.flusher.flush_all()
        done = backup(data, LocalObjects(tmp_path / "backup"), SystemClock())
        told = status(server)["last_backup"]
    assert told["snapshot"] == done.record.snapshot
    assert (told["blocks"], told["entries"], told["damaged"]) == (1, done.record.entries, 0)
    for damage in (b"", b"[]", b"{}", orjson.dumps({"snapshot": 1})):
        (data.root / LAST_BACKUP).write_bytes(damage)
        assert last_backup(data) is None


def test_a_backup_counts_where_the_note_cannot_be_left(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    with served(data.root) as server:
        push(server, probes(NOW_NS)[0])
    (data.root / LAST_BACKUP).mkdir()
    made = backup(data, LocalObjects(tmp_path / "backup"), SystemClock())
    assert made.record.journal_id is not None
    assert last_backup(data) is None
