"""What is wrong with which part of this server, in a sentence, and what is to be done?

Only facts that are at hand, small reads of the catalog, and one small write where the disk is in
doubt. Blocks, so it is not for an event loop.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from narfi.core.clock import NS_PER_S, rfc3339
from narfi.core.errors import AppError
from narfi.core.units import format_prometheus_duration, shown_bytes
from narfi.server.health import Found, PartState
from narfi.server.places import min_free_of, space_of
from narfi.server.reload import Reloader
from narfi.server.tls import EXPIRES
from narfi.server.wiring import Server
from storage.vault.data_dir import DataDir

LOOK_S = 2.0
"""Between two looks."""
PROBE, PROBE_BYTES = "disk-probe", 64 * 1024
"""Written and deleted again, to learn whether a disk that was full takes something."""
FULL_BYTES = 1024 * 1024
"""A disk with more free than this that takes nothing is not full: something else is wrong."""
LATE_NS = 60 * NS_PER_S
"""So much later than planned is no delay yet."""
FAILURES = 3
"""So often in a row is no accident."""
DAY_S = 86_400
SOON_S = 14 * DAY_S
"""A certificate that is over sooner should have been renewed."""
RUNBOOKS = "docs/operations.md"


def look(server: Server, reloader: Reloader) -> Sequence[PartState]:
    """The state of every part; remembered in `server.health`."""
    found = [check(server) for check in CHECKS]
    more = [_configuration(reloader)]
    if reloader.certificates is not None:
        more.append(certificate(reloader.certificates.expires_s, server.clock.now_ns()))
    return server.health.note([*found, *more])


def certificate(expires_s: float, now_ns: int) -> Found:
    """The state of the certificate that is shown to clients, and its metric."""
    EXPIRES.labels("server").set(expires_s)
    left_s = expires_s - now_ns / NS_PER_S
    at = rfc3339(int(expires_s) * NS_PER_S)
    step = "renew it and put it where server.tls.cert_file names it; it is read within seconds"
    if left_s <= 0:
        return Found(
            part="certificate",
            state="failing",
            what=f"the certificate was good until {at}: clients do not trust it any more",
            step=step,
        )
    if left_s < SOON_S:
        return Found(
            part="certificate",
            state="degraded",
            what=f"the certificate is over in {int(left_s / DAY_S)} days, at {at}",
            step=step,
        )
    return Found(part="certificate")


def _configuration(reloader: Reloader) -> Found:
    last = reloader.last
    if last is not None and last.error is not None:
        return Found(
            part="configuration",
            state="degraded",
            what=f"the configuration that was read at {rfc3339(last.at_ns)} cannot be used, that "
            f"of before goes on: {last.error}",
            step="mend it (narfi check-config FILE), then POST /reload or SIGHUP",
        )
    if last is not None and last.needs_restart:
        return Found(
            part="configuration",
            state="degraded",
            what=f"these settings changed and are not in force: {', '.join(last.needs_restart)}",
            step="start the server again when it suits",
        )
    return Found(part="configuration")


def _disk(server: Server) -> Found:
    settings = server.settings
    space = space_of(settings)
    wanted = min_free_of(settings, DataDir(settings.data_dir, settings.storage.url))(space.total)
    free, where = shown_bytes(space.free), settings.data_dir
    full = f"the disk of {where} is full ({free} of {shown_bytes(space.total)} free)"
    trouble = server.journal.counters.trouble
    if (space.free < PROBE_BYTES or trouble) and not _takes(where):
        if space.free > FULL_BYTES:
            return Found(
                part="disk",
                state="failing",
                what=f"the disk of {where} takes nothing, though {free} are free: {trouble}",
                step="look at the disk (dmesg), and at the rights of the server's user there",
            )
        return Found(
            part="disk",
            state="failing",
            what=f"{full}: pushes are refused",
            step="free space on it; what was acknowledged is safe, and pushes go on by themselves",
        )
    if space.free < wanted:
        return Found(
            part="disk",
            state="degraded",
            what=f"{full}, less than compactor.min_free_disk ({shown_bytes(wanted)}): the oldest "
            "blocks are dropped",
            step="free space on it, take a larger disk, or let retention_period or "
            "compactor.max_total_bytes drop blocks before it is full",
        )
    return Found(part="disk")


def _takes(folder: Path) -> bool:
    """Whether the disk takes a small file."""
    probe = folder / PROBE
    try:
        with probe.open("wb") as file:
            file.write(b"\0" * PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return True


def _journal(server: Server) -> Found:
    trouble, counters = server.journals.trouble(), server.journal.counters
    if trouble is not None:
        return Found(
            part="journal",
            state="failing",
            what=f"no push is acknowledged: {trouble.reason}",
            step="start the process again"
            if trouble.for_good
            else "see the parts catalog and objects; pushes go on by themselves",
        )
    if counters.trouble and not (server.journals.file and _takes(server.settings.data_dir)):
        # where nothing can be tried out, only a push tells whether it is mended: so they may come
        lately = server.clock.now_ns() - counters.trouble_ns < LATE_NS
        return Found(
            part="journal",
            state="failing" if server.journals.file or lately else "degraded",
            what=f"the newest pushes were refused, last at {rfc3339(counters.trouble_ns)}: "
            f"{counters.trouble}",
            step="see the part disk" if server.journals.file else "see the part objects",
        )
    if counters.lost:
        return Found(
            part="journal",
            state="degraded",
            what=f"{counters.lost} acknowledged records were missing from the journal at the last "
            "start",
            step=f"look for a disk that fails; {RUNBOOKS}, Losses, tells which times it concerns",
        )
    return Found(part="journal")


def _catalog(server: Server) -> Found:
    away = next((one for one in server.places.reach.away if one.part == "catalog"), None)
    error = None if away is None else away.error
    if away is None and "catalog" not in server.places.reach.parts:
        try:
            server.catalog.version()
        except AppError as raised:
            error = raised.message
    if error is None:
        return Found(part="catalog")
    return Found(
        part="catalog",
        state="failing",
        what=f"the catalog cannot be reached: {error}; queries that need blocks get 503, pushes "
        "stay in the journal, nothing is flushed",
        step="bring the database of catalog.url back; the server goes on by itself"
        if away is not None
        else "look at the disk of data_dir; narfi verify tells whether catalog.db is damaged",
    )


def _objects(server: Server) -> Found:
    away = next((one for one in server.places.reach.away if one.part == "objects"), None)
    if away is None:
        return Found(part="objects")
    return Found(
        part="objects",
        state="failing",
        what=f"the object store cannot be reached: {away.error}; queries that need blocks get 503, "
        "nothing is flushed",
        step="bring the store of storage.url back, or mend its credentials; the server goes on by "
        "itself",
    )


def _flush(server: Server) -> Found:
    troubles = server.flusher.troubles()
    oldest, age = server.heads.oldest_ns(), server.settings.ingester.flush_age
    late = oldest is not None and server.clock.now_ns() - oldest > 2 * age + LATE_NS
    if not troubles and not late:
        return Found(part="flush")
    since = "" if oldest is None else f"; the oldest entries wait since {rfc3339(oldest)}"
    held = f"{shown_bytes(server.heads.bytes)} are in no block{since}"
    if not troubles:
        return Found(
            part="flush",
            state="failing",
            what=f"flushing is late ({format_prometheus_duration(age)} is ingester.flush_age): "
            f"{held}",
            step="look for `flush failed` in the log, and whether the machine has CPU left",
        )
    worst = troubles[0]
    others = "" if len(troubles) == 1 else f" and {len(troubles) - 1} more"
    return Found(
        part="flush",
        state="failing" if worst.failures >= FAILURES or late else "degraded",
        what=f"the flush of tenant {worst.tenant}{others} failed {worst.failures} times: "
        f"{worst.error}; {held}",
        step="mend what the error names (object store, catalog or disk); nothing is lost, the "
        "journal has it, and the flush is tried again every half minute at least",
    )


def _blocks(server: Server) -> Found:
    held = server.store.quarantine.blocks()
    if not held:
        return Found(part="blocks")
    first = held[0]
    more = "" if len(held) == 1 else f" (and {len(held) - 1} more)"
    row = first.row
    return Found(
        part="blocks",
        state="failing",
        what=f"block {row.block_id} of tenant {row.tenant} is damaged{more}: {first.key} "
        f"{first.what}; answers from {rfc3339(row.min_ts)} to {rfc3339(row.max_ts)} lack up to "
        f"{row.rows} entries and warn",
        step=f"narfi restore --from BACKUP --block {row.block_id}; without a backup narfi repair "
        f"--give-up {row.block_id} ({RUNBOOKS}, A damaged block)",
    )


def _upkeep(server: Server) -> Found:
    now, interval = server.clock.now_ns(), server.settings.compactor.interval
    limit = 10 * interval + 10 * LATE_NS
    for state in (one for keeper in server.keepers for one in keeper.states):
        if state.last_error is not None:
            return Found(
                part="upkeep",
                state="degraded",
                what=f"the task {state.task} failed: {state.last_error}",
                step="mend what the error names; it is tried again by itself",
            )
    for state in server.upkeep.states:
        if now - (state.last_success_ns or server.health.began_ns) > limit:
            return Found(
                part="upkeep",
                state="degraded",
                what=f"the task {state.task} did not end for {format_prometheus_duration(limit)}",
                step="look at the log for what it does, and whether the machine has CPU left",
            )
    failed = server.worker.failed()
    if failed:
        first = failed[0]
        return Found(
            part="upkeep",
            state="degraded",
            what=f"{len(failed)} jobs of upkeep fail, first a {first.kind} of tenant "
            f"{first.tenant}: {first.error}",
            step=f"{RUNBOOKS}, What to do when, `narfi_upkeep_jobs_failed`",
        )
    return Found(part="upkeep")


def _losses(server: Server) -> Found:
    losses = server.catalog.losses()
    if not losses:
        return Found(part="losses")
    newest = losses[-1]
    return Found(
        part="losses",
        state="degraded",
        what=f"{len(losses)} losses of acknowledged entries were told, the newest: {newest.reason}",
        step=f"read `losses` of /status, then narfi repair --forget-losses ({RUNBOOKS}, Losses)",
    )


def _rules(server: Server) -> Found:
    told = server.ruler.state()
    if told["failing_rules"]:
        first = told["failing_rules"][0]
        return Found(
            part="rules",
            state="degraded",
            what=f"{len(told['failing_rules'])} rules fail, first {first['rule']} of "
            f"{first['tenant']}: {first['error']}",
            step="mend its query; narfi rules check tells more",
        )
    if told["problems"]:
        return Found(
            part="rules",
            state="degraded",
            what=f"{len(told['problems'])} rule files or groups are not in force as they are "
            "written",
            step="GET /ruler/status says which and why",
        )
    for kind, receivers in (("Alertmanager", "alertmanagers"), ("receiver", "remote_write")):
        for one in told[receivers]:
            if one["last_error"]:
                return Found(
                    part="rules",
                    state="degraded",
                    what=f"the {kind} {one['url']} does not take what it is told: "
                    f"{one['last_error']}",
                    step="bring it back, or change its URL in the settings of the ruler",
                )
    return Found(part="rules")


def _canary(server: Server) -> Found:
    book = server.health.canary
    if book is None:
        return Found(part="canary")
    told = book.state()
    if book.is_late(server.clock.now_ns()):
        since = told["last_success_ns"]
        why = "; ".join(f"{what}: {error}" for what, error in sorted(told["errors"].items()))
        missing = ", ".join(map(str, told["missing_now"][:5]))
        return Found(
            part="canary",
            state="failing",
            what="the canary's lines do not come back, "
            + (f"since {rfc3339(since)}" if since else "since the start")
            + (f"; {why}" if why else "")
            + (f"; lines {missing} are missing" if missing else ""),
            step="see the other parts, disk, journal, catalog and objects first; then the log",
        )
    if told["errors"] or told["missing_now"]:
        what, error = next(iter(told["errors"].items()), ("query", "lines are missing"))
        return Found(
            part="canary",
            state="degraded",
            what=f"a {what} of the canary failed: {error}",
            step="look again in a minute; see the other parts first",
        )
    return Found(part="canary")


def _answered(part: str, check: Callable[[Server], Found]) -> Callable[[Server], Found]:
    """The check; where the catalog that it asks does not answer, that part of it is not known."""

    def checked(server: Server) -> Found:
        try:
            if part in ASK_THE_CATALOG:
                server.places.reach.check("catalog")
            return check(server)
        except AppError as error:
            return Found(
                part=part,
                state="degraded",
                what=f"the catalog does not say how it is: {error.message}",
                step="see the part catalog",
            )
        except OSError as error:
            return Found(
                part=part,
                state="failing",
                what=f"{error.filename or server.settings.data_dir}: {error.strerror}",
                step="look at the disk of data_dir, and at the rights of the server's user there",
            )

    return checked


ASK_THE_CATALOG = ("upkeep", "losses")
CHECKS: tuple[Callable[[Server], Found], ...] = tuple(
    _answered(part, check)
    for part, check in (
        ("disk", _disk),
        ("journal", _journal),
        ("catalog", _catalog),
        ("objects", _objects),
        ("flush", _flush),
        ("blocks", _blocks),
        ("upkeep", _upkeep),
        ("losses", _losses),
        ("rules", _rules),
        ("canary", _canary),
    )
)
"""One of each part."""
