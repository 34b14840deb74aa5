"""`narfi packs list`: which packs are there?"""

import sys

from promtail_agent.errors import ConfigError
from promtail_agent.packs.load import FOLDERS_VARIABLE, Shelf


def run() -> bool:
    """A line a pack: name, version, title, what it was tested with; whether all can be read."""
    shelf = Shelf.of_environment()
    faults = [f"{folder} of {FOLDERS_VARIABLE} is no folder" for folder in shelf.missing()]
    for name in shelf.names():
        try:
            manifest = shelf.find(name).manifest
        except ConfigError as error:
            faults.append(error.message)
            continue
        tested = ", ".join(f"{what} {which}" for what, which in manifest.tested_with.items())
        print(
            f"{name:<18} {manifest.version:<3} {manifest.title}"
            + (f" ({tested})" if tested else "")
        )
    for fault in faults:
        print(f"narfi: {fault}", file=sys.stderr)
    return not faults
