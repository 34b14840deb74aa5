"""`narfi backup`: a whole copy of a data folder, while a server uses it or not."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from narfi.cli.data_folder import ConfigFlag, DataDirFlag, data_folder, telling_os_errors
from narfi.cli.progress import Progress

EXIT_DAMAGED = 1


def backup(
    to: Annotated[str, typer.Option("--to", help="Folder, or URL such as s3://bucket/path.")],
    data_dir: DataDirFlag = "",
    config: ConfigFlag = "",
) -> None:
    """Copy what the backup there does not hold yet; a backup is whole, or the one before stays."""
    from narfi.core.clock import SystemClock
    from storage.vault.backup import backup as make
    from storage.vault.places import open_target

    data = data_folder(data_dir, config)
    data.check_holds_the_catalog("narfi backup")
    data.check_is_there()
    with telling_os_errors(), closing(Progress()) as progress:
        done = make(data, open_target(to, data), SystemClock(), progress)
    record = done.record
    print(
        f"backup {record.snapshot}: {record.blocks} blocks with {record.entries} entries, and the "
        f"journal; {done.put_files} files copied ({done.put_bytes} bytes), {done.pruned} deleted"
    )
    if done.prune_error is not None:
        print(f"older files could not be deleted: {done.prune_error}", file=sys.stderr)
    for key in record.damaged:
        print(f"damaged or missing, and copied as it is: objects/{key}", file=sys.stderr)
    if record.damaged:
        print("narfi verify tells what to do", file=sys.stderr)
        sys.exit(EXIT_DAMAGED)
