"""`narfi restore`: a data folder, or one block, from a backup."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from narfi.cli.data_folder import ConfigFlag, DataDirFlag, data_folder, telling_os_errors
from narfi.cli.progress import Progress

EXIT_DAMAGED = 1
JOURNAL_IN_FILES = """\
the journal lies in files: start one server there with ingester.journal: file, and POST /flush,
before you start any with ingester.journal: objects"""


def restore(
    from_: Annotated[str, typer.Option("--from", help="Folder or URL of the backup.")],
    data_dir: DataDirFlag = "",
    config: ConfigFlag = "",
    block: Annotated[str, typer.Option(help="Put back this damaged block only.")] = "",
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave out what is damaged in the backup.")
    ] = False,
) -> None:
    """Make a data folder of a backup, and what its settings name; all empty, every file checked."""
    from storage.objects.places import shown
    from storage.vault import restore as vault
    from storage.vault.places import open_source

    source, data = open_source(from_), data_folder(data_dir, config)
    with telling_os_errors(), closing(Progress()) as progress:
        if block:
            count = vault.restore_block(source, data, block)
            print(f"block {block} was put back: {count} objects")
            return
        done = vault.restore(source, data, progress=progress, partial=partial)
    record = done.record
    places = [str(data.root), shown(data.storage_url), "the database" if data.catalog_url else ""]
    where = ", ".join(filter(None, places))
    print(
        f"restored {record.snapshot} to {where}: {record.blocks} blocks with "
        f"{record.entries} entries, and the journal"
    )
    if data.catalog_url:
        print(JOURNAL_IN_FILES)
    for key in record.damaged:
        print(f"damaged or missing when the backup was made: objects/{key}", file=sys.stderr)
    for reason in done.left_out:
        print(f"left out: {reason}", file=sys.stderr)
    if record.damaged or done.left_out:
        print("narfi verify tells what to do", file=sys.stderr)
        sys.exit(EXIT_DAMAGED)
