"""`narfi repair`: what only an operator decides, while no server runs."""

import sys
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from narfi.cli.data_folder import ConfigFlag, DataDirFlag, data_folder, telling_os_errors
from narfi.cli.flags import UsageError
from narfi.cli.progress import Progress

if TYPE_CHECKING:
    from narfi.core.clock import Clock
    from storage.vault.data_dir import DataDir

CHOICES = "--rebuild-catalog, --adopt, --give-up BLOCK or --forget-losses"
NOT_KNOWN = """\
what manifests do not say, and is lost with the old catalog:
  delete requests, done or not, and their receipts: ask again for those that matter
  entries that were deleted, or expired, within the last compactor.orphan_grace may be back
  tokens that were made by narfi token: make them again
  losses that were told before"""

NOT_KNOWN_OF_MANY = """\
  rule groups that were changed over the API, and states of alerts; saved searches
journals of ingesters are there without an owner: the first ingester takes them over"""


def repair(
    data_dir: DataDirFlag = "",
    config: ConfigFlag = "",
    rebuild_catalog: Annotated[
        bool, typer.Option("--rebuild-catalog", help="Make it anew from the blocks' manifests.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Whole blocks that it does not know become visible.")
    ] = False,
    give_up: Annotated[
        str, typer.Option(metavar="BLOCK", help="Go on without this damaged block.")
    ] = "",
    forget_losses: Annotated[
        bool, typer.Option("--forget-losses", help="The losses that were told are understood.")
    ] = False,
) -> None:
    """Rebuild or correct the catalog; the server is stopped."""
    from narfi.core.clock import SystemClock

    if sum((rebuild_catalog, adopt, bool(give_up), forget_losses)) != 1:
        raise UsageError(f"give one of {CHOICES}")
    data, clock = data_folder(data_dir, config), SystemClock()
    if rebuild_catalog:
        _rebuild(data, clock)
    elif adopt:
        _adopt(data, clock)
    elif give_up:
        _give_up(data, clock, give_up)
    else:
        _forget_losses(data, clock)


def _rebuild(data: "DataDir", clock: "Clock") -> None:
    from storage.vault.rebuild import rebuild
    from storage.vault.rebuild_database import rebuild_database

    make = rebuild_database if data.catalog_url else rebuild
    with telling_os_errors(), closing(Progress()) as progress:
        done = make(data, clock, progress)
    print(f"{done.visible} blocks with {done.entries} entries of {done.tenants} tenants are back")
    if done.replaced:
        print(f"{done.replaced} blocks that others replaced will be deleted by the server")
    _print_each("not a whole block, set aside", done.set_aside)
    if done.lost_found:
        print(f"{done.lost_found} folders lay in lost+found before; --adopt takes whole ones in")
    if done.kept_as is not None:
        print(f"the old catalog is kept as {done.kept_as}")
    print(NOT_KNOWN)
    if data.catalog_url:
        print(NOT_KNOWN_OF_MANY)
    _print_each("damaged", (f"objects/{fault.key} {fault.what}" for fault in done.faults))


def _adopt(data: "DataDir", clock: "Clock") -> None:
    from storage.vault.repair import adopt

    with telling_os_errors(), closing(Progress()) as progress:
        done = adopt(data, clock, progress)
    entries = sum(row.rows for row in done.rows)
    print(f"{len(done.rows)} blocks with {entries} entries became visible")
    _print_each("left where it is", (f"objects/{one.folder}: {one.why}" for one in done.left))


def _give_up(data: "DataDir", clock: "Clock", block_id: str) -> None:
    from storage.vault.repair import give_up

    with telling_os_errors():
        row = give_up(data, clock, block_id)
    print(f"block {block_id} of tenant {row.tenant} with {row.rows} entries was given up")
    print("its folder is in lost+found, and the time that it spans is noted as a loss")


def _forget_losses(data: "DataDir", clock: "Clock") -> None:
    from storage.vault.repair import forget_losses

    with telling_os_errors():
        losses = forget_losses(data, clock)
    print(f"{len(losses)} losses are understood, and told no more")


def _print_each(what: str, items: Iterable[str]) -> None:
    for item in items:
        print(f"{what}: {item}", file=sys.stderr)
