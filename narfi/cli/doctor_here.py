"""What is wrong on this machine: configuration, disk, catalog, object store, kernels, limits?"""

import contextlib
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from narfi.cli.findings import Finding, Findings, fine, problem, tried, warning
from narfi.core.errors import AppError
from narfi.core.units import shown_bytes

if TYPE_CHECKING:
    from narfi.core.settings import Settings

MIN_FILES = 4096
"""Open files below which a busy server meets its limit: connections, blocks, segments."""
PROBE_BYTES = 64 * 1024
FULL_BYTES = 1024 * 1024
"""A disk with more free than this that takes nothing is not full: something else is wrong."""


def settings_here(
    config: str, data_dir: str, *, expand_env: bool
) -> tuple["Settings | None", list[Finding]]:
    """The server's settings as it would read them, and what is wrong with them."""
    from narfi.core.settings import load_settings, unrelated_variables

    flags = {"data_dir": data_dir} if data_dir else {}
    file = Path(config) if config else None
    try:
        settings = load_settings(file, os.environ, flags, expand_env=expand_env)
        _check(settings)
    except AppError as error:
        step = "mend the key that is named (docs/operations.md lists all), then narfi check-config"
        return None, [problem("configuration", error.message, step)]
    found = [fine("configuration", f"{config or 'environment and defaults'}: can be used")]
    if names := unrelated_variables(os.environ):
        step = "name a setting with two underscores for each dot, or leave them"
        told = f"these variables are no settings and are ignored: {', '.join(names)}"
        found.append(warning("configuration", told, step))
    return settings, found


def _check(settings: "Settings") -> None:
    """What a start checks before it opens anything; raises `AppError`."""
    from narfi.server.addresses import check_addresses
    from narfi.server.start_checks import check_settings

    check_settings(settings)
    check_addresses(settings, insecure=settings.server.insecure)


def here_findings(settings: "Settings") -> Findings:
    """Everything that settings name on this machine."""
    folder = settings.data_dir
    mend = f"give the server's user a folder {folder} that it can write"
    yield from tried("disk", lambda: _disk(settings), mend)
    mend = "bring the database of catalog.url back, or look at the disk of data_dir"
    yield from tried("catalog", lambda: _catalog(settings), mend)
    mend = "bring the store of storage.url back, or mend its credentials and rights"
    yield from tried("objects", lambda: _objects(settings), mend)
    yield from tried("kernels", _kernels, "install Narfi again")
    yield from _files()


def _disk(settings: "Settings") -> Findings:
    from narfi.core.setting_types import min_free_bytes

    folder = settings.data_dir
    if not folder.is_dir():
        yield warning("disk", f"{folder} is not there", "a start makes it; or name data_dir")
        return
    usage = shutil.disk_usage(folder)
    told = f"{shown_bytes(usage.free)} of {shown_bytes(usage.total)} are free at {folder}"
    step = "free space on it, or let retention_period or compactor.max_total_bytes drop blocks"
    if not _can_be_written(folder):
        if usage.free > FULL_BYTES:
            step = "look at the disk (dmesg), and at the rights and quota of the server's user"
        state = "takes nothing" if usage.free > FULL_BYTES else "is full"
        yield problem("disk", f"the disk of {folder} {state}: {told}", step)
        return
    wanted = min_free_bytes(settings.compactor.min_free_disk, usage.total)
    if usage.free < wanted:
        least = f"less than compactor.min_free_disk ({shown_bytes(wanted)})"
        yield problem("disk", f"{told}, {least}: the oldest blocks are dropped", step)
    else:
        yield fine("disk", told)


def _can_be_written(folder: Path) -> bool:
    """Whether a small file can be; only a full disk is an answer, else raises `OSError`."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="doctor-") as file:
        try:
            file.write(b"\0" * PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                file.truncate(0)
    return True


def _catalog(settings: "Settings") -> Findings:
    from storage.catalog.schema import SchemaState, schema_at
    from storage.vault.data_dir import DataDir

    data = DataDir(settings.data_dir, settings.storage.url, settings.catalog.url)
    if not data.catalog_url and not data.catalog.exists():
        yield fine("catalog", "there is none yet; a start makes it")
        return
    found = schema_at(data.catalog_url or data.catalog)
    match found.state:
        case SchemaState.NEWER:
            step = "start that version again, or put back a backup made before it"
            yield problem("catalog", found.told, step)
        case SchemaState.OLDER:
            yield warning("catalog", found.told, "nothing: a start, or narfi migrate, does it")
        case _:
            yield fine("catalog", found.told)


def _objects(settings: "Settings") -> Findings:
    from storage.objects.places import shown
    from storage.objects.probe import check_store
    from storage.vault.data_dir import DataDir

    data = DataDir(settings.data_dir, settings.storage.url, settings.catalog.url)
    if not data.is_far and not data.root.is_dir():
        return
    check_store(data.hasty_objects(), shown(data.storage_url) or str(data.root))
    yield fine("objects", "an object can be made once, read and deleted")


def _kernels() -> Findings:
    from narfi.core.kernels.jit import kernels
    from narfi.core.kernels.modules import import_all

    import_all()
    known = kernels()
    missing = sum(one.kept() is None for one in known)
    if missing:
        yield warning(
            "kernels",
            f"{missing} of {len(known)} kernels are not compiled: the next start takes longer",
            "nothing, or install a wheel that brings them (python -m narfi.core.kernels.ship)",
        )
    else:
        yield fine("kernels", f"all {len(known)} are compiled")


def _files() -> Findings:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MIN_FILES:
        yield warning(
            "open files",
            f"a server started from this shell may open {soft} files",
            f"ulimit -n {16 * MIN_FILES}, or LimitNOFILE= in its unit",
        )
