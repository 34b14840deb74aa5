"""What should an operator know at a glance? Losses, what was set aside, upkeep that fails, backups.

Only facts that are at hand: what this process counts, and rows of small tables of the catalog.
"""

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from narfi.server.wiring import Server
from storage.vault.data_dir import DataDir
from storage.vault.last_backup import last_backup

MAX_LOSSES = 100
"""Told one by one; the newest."""
MAX_JOBS = 100
"""Failed jobs that are told one by one."""
MAX_QUARANTINED = 100
"""Told one by one."""


def state_of(server: Server) -> dict[str, Any]:
    """Plain data for JSON; raises `CatalogError`. Reads the catalog, so not for an event loop."""
    losses = server.catalog.losses()
    counts = server.catalog.counts()
    found = last_backup(DataDir(server.settings.data_dir))
    away = {
        one.part: {"error": one.error, "since_ns": one.since_ns} for one in server.places.reach.away
    }
    return {
        "version": version("narfi"),
        "roles": list(server.settings.roles),
        "journal": _journal(server),
        "journals": _journals(server),
        "losses": {"count": len(losses), "newest": [asdict(one) for one in losses[-MAX_LOSSES:]]},
        "lost_found": {
            "folders": server.garbage.lost_folders,
            "set_aside": server.garbage.set_aside,
        },
        "blocks": asdict(counts),
        "far_storage": {name: away.get(name) for name in server.places.reach.parts},
        "ruler": server.ruler.state(),
        "quarantine": _quarantine(server),
        "upkeep": [asdict(one) for keeper in server.keepers for one in keeper.states],
        "failed_jobs": _failed_jobs(server),
        "last_backup": None if found is None else asdict(found),
    }


def _failed_jobs(server: Server) -> dict[str, Any]:
    """Upkeep that failed and waits to be tried again; those that fail most often come first."""
    failed = server.worker.failed()
    told = ("job_id", "kind", "tenant", "blocks", "attempts", "not_before_ns", "error")
    jobs = [{name: getattr(job, name) for name in told} for job in failed[:MAX_JOBS]]
    return {"count": len(failed), "jobs": jobs}


def _journal(server: Server) -> dict[str, Any]:
    counters, trouble = server.journal.counters, server.journals.trouble()
    return {
        "kind": server.settings.ingester.journal,
        "acknowledges": trouble is None and "ingester" in server.settings.roles,
        "trouble": None if trouble is None else trouble.reason,
        "id": server.journal.journal_id,
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
    held = server.quarantine.blocks()
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
