"""`narfi packs list`: which packs are there?"""

from promtail_agent.packs.load import Shelf


def run() -> None:
    """A line a pack: name, version, title, what it was tested with."""
    shelf = Shelf.of_environment()
    for name in shelf.names():
        manifest = shelf.find(name).manifest
        tested = ", ".join(f"{what} {which}" for what, which in manifest.tested_with.items())
        print(
            f"{name:<18} {manifest.version:<3} {manifest.title}"
            + (f" ({tested})" if tested else "")
        )
