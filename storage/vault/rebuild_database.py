"""How does a catalog in PostgreSQL come back that is gone? Into a new database, from the bucket.

Blocks as for a catalog in a file (`rebuild.py`): from their manifests. Leases of journals are lost
with the database, the journals are not: each becomes a row without an owner, which the first
ingester takes over. Numbers of a journal have no gaps, and one is deleted only when all up to it
was in blocks: so what must be read begins behind the newest number that is missing.
Invariant: journals first, then all blocks in one transaction; a server refuses to start in between.
"""

from collections import defaultdict
from dataclasses import astuple
from pathlib import PurePosixPath

from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from storage.block.folders import LOST_FOUND, folders
from storage.catalog.leases import Leases
from storage.journal.numbered import FOLDER
from storage.objects.base import ObjectStore
from storage.vault.data_dir import DataDir
from storage.vault.database import alone_on_database
from storage.vault.rebuild import Progress, Rebuilt, done, rows_of, survey_all


class NotNewError(AppError):
    """A database that holds a catalog is not written over."""

    kind = ErrorKind.INVALID


def rebuild_database(data: DataDir, clock: Clock, progress: Progress = lambda _: None) -> Rebuilt:
    """Fill a new database; raises `OtherServerError` while a process serves it."""
    with alone_on_database(data.catalog_url, clock) as catalog:
        if any(astuple(catalog.counts())):
            raise NotNewError(
                "the database holds a catalog already: --adopt takes in blocks that it lacks; to "
                "make it anew, name a new, empty database in catalog.url and keep this one"
            )
        objects = data.objects()
        waiting = len(folders(objects, f"{LOST_FOUND}/"))
        plan = survey_all(objects, progress)
        Leases(catalog.database).found(forgotten_of(objects))
        catalog.adopt(plan.rows(), rows_of(plan.replaced), plan.watermarks())
        return done(plan, objects, waiting, None)


def forgotten_of(objects: ObjectStore) -> dict[str, int]:
    """Of each journal that lies there, the newest number in front of what must be read."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for key in objects.list(f"{FOLDER}/"):
        path = PurePosixPath(key)
        if path.name.isdecimal():  # else nothing of a journal
            numbers[path.parent.name].append(int(path.name))
    return {journal_id: _before_the_last_run(found) for journal_id, found in numbers.items()}


def _before_the_last_run(numbers: list[int]) -> int:
    there = set(numbers)
    first = max(numbers)
    while first - 1 in there:
        first -= 1
    return first - 1
