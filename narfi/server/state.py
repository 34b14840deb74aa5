"""What should an operator know at a glance? How each part is, and the figures behind it.

Only facts that are at hand: what this process counts, and rows of small tables of the catalog. What
the catalog does not tell is null, and `unanswered` says why.
"""

import platform
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from narfi.core.clock import NS_PER_S
from narfi.core.errors import AppError
from narfi.core.log import level_name
from narfi.server.part_checks import look
from narfi.server.places import min_free_of, space_of
from narfi.server.readiness import Readiness
from narfi.server.reload import Reloader
from narfi.server.wiring import Server
from storage.catalog.tables import SCHEMA
from storage.vault.data_dir import DataDir
from storage.vault.last_backup import last_backup

MAX_LOSSES = 100
"""Told one by one; the newest."""
MAX_JOBS = 100
"""Failed jobs that are told one by one."""
MAX_QUARANTINED = 100
"""Told one by one."""
MAX_TROUBLES = 100
"""Failing flushes that are told one by one; the worst."""


def state_of(server: Server, readiness: Readiness, reloader: Reloader) -> dict[str, Any]:
    """Plain data for JSON; answers also while catalog or objects are away. Not for an event loop:
    it reads the catalog."""
    parts = look(server, reloader)
    away = {
        one.part: {"error": one.error, "since_ns": one.since_ns} for one in server.places.reach.away
    }
    told: dict[str, Any] = {
        **_process(server, readiness),
        "parts": [asdict(one) for one in parts],
        "configuration": reloader.state(),
        "disk": _disk(server),
        "journal": _journal(server),
        "flush": _flush(server),
        "lost_found": {
            "folders": server.garbage.lost_folders,
            "set_aside": server.garbage.set_aside,
        },
        "far_storage": {name: away.get(name) for name in server.places.reach.parts},
        "ruler": server.ruler.state(),
        "quarantine": _quarantine(server),
        "upkeep": [asdict(one) for keeper in server.keepers for one in keeper.states],
        "ingesters": server.journals.ingesters,
        "certificate": _certificate(reloader),
        "canary": None if server.health.canary is None else server.health.canary.state(),
    }
    return told | _of_the_catalog(server) | {"last_backup": _last_backup(server)}


def _certificate(reloader: Reloader) -> dict[str, Any] | None:
    shown = reloader.certificates
    return None if shown is None else {"expires_ns": int(shown.expires_s) * NS_PER_S}


def _process(server: Server, readiness: Readiness) -> dict[str, Any]:
    reason = readiness.reason()
    return {
        "version": version("narfi"),
        "versions": {
            "python": platform.python_version(),
            "schema": SCHEMA,
            "reads_block_formats": [1, 2, 3],
            "writes_block_format": server.settings.ingester.block_format,
        },
        "began_ns": server.health.began_ns,
        "uptime_s": round(server.health.uptime_s, 1),
        "ready": reason is None,
        "not_ready_because": reason,
        "now_ns": server.clock.now_ns(),
        "roles": list(server.settings.roles),
        "log_level": level_name(),
    }


def _of_the_catalog(server: Server) -> dict[str, Any]:
    """What only the catalog knows."""
    catalog, unanswered = server.catalog, {}

    def asked(name: str, ask: Callable[[], Any]) -> Any:
        try:
            server.places.reach.check("catalog")
            return ask()
        except AppError as error:
            unanswered[name] = error.message
            return None

    def losses() -> dict[str, Any]:
        found = catalog.losses()
        return {"count": len(found), "newest": [asdict(one) for one in found[-MAX_LOSSES:]]}

    found = {
        "losses": asked("losses", losses),
        "blocks": asked("blocks", lambda: asdict(catalog.counts())),
        "levels": asked("levels", lambda: [asdict(one) for one in catalog.totals()]),
        "journals": asked("journals", lambda: _journals(server)),
        "failed_jobs": asked("failed_jobs", lambda: _failed_jobs(server)),
    }
    return {**found, "unanswered": unanswered}


def _last_backup(server: Server) -> dict[str, Any] | None:
    found = last_backup(DataDir(server.settings.data_dir))
    return None if found is None else asdict(found)


def _disk(server: Server) -> dict[str, Any]:
    settings = server.settings
    data = DataDir(settings.data_dir, settings.storage.url, settings.catalog.url)
    space = space_of(settings)
    return {
        "path": str(settings.data_dir),
        "free_bytes": space.free,
        "total_bytes": space.total,
        "min_free_bytes": min_free_of(settings, data)(space.total),
    }


def _flush(server: Server) -> dict[str, Any]:
    """What is in no block, and why."""
    oldest, now = server.heads.oldest_ns(), server.clock.now_ns()
    troubles = server.flusher.troubles()
    return {
        "unflushed_bytes": server.heads.bytes,
        "lag_s": 0.0 if oldest is None else max(0, now - oldest) / NS_PER_S,
        "oldest_ns": oldest,
        "waiting_parts": len(server.heads.waiting()),
        "failing": [asdict(one) for one in troubles[:MAX_TROUBLES]],
    }


def _failed_jobs(server: Server) -> dict[str, Any]:
    """Upkeep that failed and waits to be tried again; those that fail most often come first."""
    failed = server.worker.failed()
    told = ("job_id", "kind", "tenant", "blocks", "attempts", "not_before_ns", "error")
    jobs = [{name: getattr(job, name) for name in told} for job in failed[:MAX_JOBS]]
    return {"count": len(failed), "jobs": jobs}


def _journal(server: Server) -> dict[str, Any]:
    counters, trouble = server.journal.counters, server.journals.trouble()
    reason = counters.trouble or None if trouble is None else trouble.reason
    return {
        "kind": server.settings.ingester.journal,
        "acknowledges": reason is None and "ingester" in server.settings.roles,
        "trouble": reason,
        "id": server.journal.journal_id,
        "bytes": server.journal.stored_bytes(),
        "damaged_segments": counters.damaged,
        "lost_frames": counters.lost,
        "failed_commits": counters.failures,
    }


def _journals(server: Server) -> list[dict[str, Any]]:
    """Of all processes of a cluster, those that may hold what is in no block; empty without one."""
    cluster = server.journals.cluster
    if cluster is None:
        return []
    # not the holder's name, which other processes show when they ask
    return [
        {name: text for name, text in asdict(row).items() if name != "holder"}
        for row in cluster.rows()
    ]


def _quarantine(server: Server) -> dict[str, Any]:
    held = server.store.quarantine.blocks()
    blocks = [
        {
            "block": one.row.block_id,
            "tenant": one.row.tenant,
            "from_ns": one.row.min_ts,
            "to_ns": one.row.max_ts,
            "rows": one.row.rows,
            "object": one.key,
            "what": one.what,
            "since_ns": one.since_ns,
        }
        for one in held[:MAX_QUARANTINED]
    ]
    return {"count": len(held), "blocks": blocks}
